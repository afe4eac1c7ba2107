// Ending one token by its text, whatever its form, for operators who hold a leaked one. The endpoint of RFC 7009 does the same for
// the client that the token was issued to.
import { parseOpaque } from '../vocabulary/opaque.ts'
import { createOwnJwts } from './own-jwt.ts'
import type { ProviderParts } from './parts.ts'

/** What was ended: the token alone, or the family of a refresh token or code with the access tokens from it. */
export type RevokedThing = 'access token' | 'refresh family' | 'authorization code'

/**
 * @returns a function from a token's text to what was ended; undefined for what is no token of ours, or over already. `actor` is
 *   who acts, as in the audit
 */
export function createRevokeToken(
  parts: ProviderParts & { readonly unit: { run<T>(work: () => Promise<T>): Promise<T> } },
) {
  const { unit, audit } = parts
  const { accessTokens, families, codes, revoke } = parts.tokens
  const jwts = createOwnJwts(parts)

  async function endFamily(family: Buffer | undefined, actor: string): Promise<boolean> {
    if (!family || !(await revoke.family(family, 'revoked'))) return false
    await audit({ kind: 'family.ended', actor, detail: { reason: 'revoked' } })
    return true
  }

  return (token: string, actor: string): Promise<RevokedThing | undefined> =>
    unit.run(async () => {
      switch (parseOpaque(token)?.kind) {
        case 'at':
          if (!(await accessTokens.destroy(token))) return undefined
          await audit({ kind: 'token.revoked', actor })
          return 'access token'
        case 'rt':
          if (!(await families.find(token))) return undefined
          return (await endFamily(families.names.ofToken(token), actor)) ? 'refresh family' : undefined
        case 'ac':
          if (!(await codes.find(token))) return undefined
          // First: whoever redeems it at this moment is waited for, and the family is there.
          await codes.destroy(token)
          await endFamily(families.names.ofCode(token), actor)
          return 'authorization code'
        default: {
          const claims = await jwts.verify(token)
          if (!claims || !(await jwts.revoke(claims))) return undefined
          await audit({ kind: 'token.revoked', actor, subject: claims.sub })
          return 'access token'
        }
      }
    })
}
