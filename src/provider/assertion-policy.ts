// What a client's signed assertion must keep to beyond its signature, which the engine has verified by then (RFC 7523 section 3).
import { createHmac, timingSafeEqual } from 'node:crypto'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { CLOCK_TOLERANCE } from '../vocabulary/access-token.ts'
import { factsOf } from './client-metadata.ts'
import type { ProviderParts } from './parts.ts'

/** How far ahead an assertion may end, in seconds: so long its `jti` must be remembered. */
export const LONGEST_AHEAD = 5 * 60

interface Claims {
  /** both seconds since 1970, and known to be numbers */
  readonly exp?: number
  readonly iat?: number
}

/**
 * @returns the engine's `assertJwtClientAuthClaimsAndHeader`; it throws InvalidClientAuth for an assertion that ends too late
 *   or was made in a future farther away than clocks differ. What else there is to check the engine has checked
 */
export function createAssertionPolicy({ sealedSecrets }: Pick<ProviderParts, 'sealedSecrets'>) {
  return async function assertClaims(
    ctx: KoaContextWithOIDC,
    { exp, iat }: Claims,
    _header: unknown,
    client: { readonly clientId: string; readonly [key: string]: unknown },
  ): Promise<void> {
    // By the clock that the engine compares `exp` with.
    const at = Math.floor(Date.now() / 1000)
    if (exp! > at + LONGEST_AHEAD + CLOCK_TOLERANCE) throw refused('exp is more than 5 minutes ahead')
    if (iat !== undefined && iat > at + CLOCK_TOLERANCE) throw refused('iat is in the future')
    noteUse(client, String(ctx.oidc.params?.client_assertion))
  }

  // The engine has found a key that fits, but does not tell which one.
  function noteUse(client: Parameters<typeof factsOf>[0] & { clientId: string }, assertion: string): void {
    const dot = assertion.lastIndexOf('.')
    const signature = Buffer.from(assertion.slice(dot + 1), 'base64url')
    for (const { id, sealed } of factsOf(client).sealedSecrets ?? []) {
      const secret = sealedSecrets.open(client.clientId, Buffer.from(sealed, 'base64url'))
      const expected = createHmac('sha256', secret).update(assertion.slice(0, dot)).digest()
      if (expected.length === signature.length && timingSafeEqual(expected, signature)) sealedSecrets.noteUse(id)
    }
  }
}

function refused(why: string): Error {
  return new errors.InvalidClientAuth(`client assertion: ${why}`)
}
