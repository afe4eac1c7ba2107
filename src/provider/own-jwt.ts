// Our own JWT access tokens, coming back: verified like everywhere else, then checked against everything that may have ended.
import { keyOfName } from '../endings/end.ts'
import { grantId } from '../sessions/grants.ts'
import { jwtKey } from '../tokens/revoke.ts'
import { createAccessTokenVerifier } from '../verifier/access-token.ts'
import { createKeySet } from '../verifier/key-set.ts'
import type { AccessTokenClaims } from '../vocabulary/access-token.ts'
import { createEngineTime } from './engine-time.ts'
import type { ProviderParts } from './parts.ts'

/**
 * `gid` and `fid` are the handles of grant and refresh family; `epoch` is that of a client which got the token for itself.
 * `kid` is no claim, but the key that the token was verified with.
 */
export type OwnClaims = AccessTokenClaims & {
  readonly gid?: string
  readonly fid?: string
  readonly epoch?: string
  readonly kid?: string
}

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
  const { toStore } = createEngineTime(parts)
  const verify = createAccessTokenVerifier({
    issuer: parts.issuer,
    audience: null,
    keys: createKeySet({ keys: parts.signingKeys.map((key) => key.publicJwk) }),
    // What we sign carries the time of this machine's clock, like what others show us.
    now: () => new Date(),
  })
  return {
    async verify(token) {
      const verdict = await verify(token)
      return verdict.ok ? ({ ...verdict.claims, kid: verdict.kid } as OwnClaims) : undefined
    },

    async stands(claims) {
      // Its ending would be noted under a version of the key ring that is gone.
      if (!parts.ring.knows(claims.jti)) return false
      const things = [
        { kind: 'token' as const, key: jwtKey(parts.ring, claims.jti) },
        // The key set forgets a compromised key as soon as this process hears of it; the log knows at once.
        { kind: 'key' as const, key: keyOfName('key', claims.kid ?? '') },
      ]
      const family = claims.fid ? [{ kind: 'family' as const, key: Buffer.from(claims.fid, 'base64url') }] : []
      const grant = claims.gid && Buffer.from(claims.gid, 'base64url')
      const ended = [...things, ...family, ...(grant ? [{ kind: 'grant' as const, key: grant }] : [])]
      if (await parts.tokens.endings.anyEnded(ended)) return false
      // Never from a cache: an ending is effective at commit.
      if (grant) return (await parts.sessions.grants.find(grantId(grant))) !== undefined
      return claims.epoch !== undefined && (await parts.clientStands(claims.client_id, claims.epoch))
    },

    revoke: (claims) => parts.tokens.revoke.jwt(claims.jti, new Date(toStore(claims).exp * 1000), 'revoked'),
  }
}

/** @returns the thumbprint of the key that a token is bound to (RFC 9449 section 6.1), if it is */
export function jktOf({ cnf }: Pick<AccessTokenClaims, 'cnf'>): string | undefined {
  return (cnf as { jkt?: string } | undefined)?.jkt
}
