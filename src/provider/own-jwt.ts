// Our own JWT access tokens, coming back: verified like everywhere else, then checked against everything that may have ended.
import { jwtKey } from '../tokens/revoke.ts'
import { createAccessTokenVerifier } from '../verifier/access-token.ts'
import { createKeySet } from '../verifier/key-set.ts'
import type { AccessTokenClaims } from '../vocabulary/access-token.ts'
import { createOwnersStand } from './introspection-policy.ts'
import type { ProviderParts } from './parts.ts'

/** `gid` and `fid` are the handles of grant and refresh family. */
export type OwnClaims = AccessTokenClaims & { readonly gid?: string; readonly fid?: string }

export interface OwnJwts {
  /** @returns the claims of a JWT access token that we signed and that has not expired, else undefined */
  verify(token: string): Promise<OwnClaims | undefined>
  /** @returns whether nothing that the token hangs on has ended */
  stands(claims: OwnClaims): Promise<boolean>
  /** Ends one token. */
  revoke(claims: OwnClaims): Promise<boolean>
}

/** @returns what the server does with its own JWT access tokens */
export function createOwnJwts(parts: ProviderParts): OwnJwts {
  const verify = createAccessTokenVerifier({
    issuer: parts.issuer,
    audience: null,
    keys: createKeySet({ keys: parts.signingKeys.map((key) => key.publicJwk) }),
    now: parts.now,
  })
  const ownersStand = createOwnersStand(parts)
  return {
    async verify(token) {
      const verdict = await verify(token)
      return verdict.ok ? (verdict.claims as OwnClaims) : undefined
    },

    async stands(claims) {
      const things = [{ kind: 'token' as const, key: jwtKey(parts.ring, claims.jti) }]
      const named = (kind: 'family' | 'grant', key?: string) =>
        key ? [{ kind, key: Buffer.from(key, 'base64url') }] : []
      if (await parts.tokens.anyEnded([...things, ...named('family', claims.fid), ...named('grant', claims.gid)]))
        return false
      if (claims.gid && !(await parts.sessions.grants.findByKey(Buffer.from(claims.gid, 'base64url')))) return false
      return ownersStand({ clientId: claims.client_id, accountId: claims.gid ? claims.sub : undefined })
    },

    revoke: (claims) => parts.tokens.revoke.jwt(claims.jti, new Date(claims.exp * 1000), 'revoked'),
  }
}
