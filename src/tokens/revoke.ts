// Ends tokens: one, a family, or all that hang on a grant. Rows go at once; JWTs, which have none, are noted as ended.
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Families } from './families.ts'

/** How this room tells the one log that trust has ended; handed in, because rooms do not import one another. */
export type End = (ending: {
  kind: 'token' | 'family' | 'grant'
  key: Buffer
  reason: string
  /** until when a token that hangs on it could still be valid by itself; if not given, the longest that any can */
  expiresAt?: Date
}) => Promise<boolean>

export interface Revoke {
  /** Ends one JWT access token by its `jti` (RFC 7009). @param expiresAt its own `exp` */
  jwt(jti: string, expiresAt: Date, reason: string): Promise<boolean>
  /** Ends a refresh family and every access token from it. @returns whether it was alive */
  family(familyHash: Buffer, reason: string): Promise<boolean>
  /** Ends everything that hangs on a grant, by its row key. @returns whether it was alive */
  grant(grant: Buffer, reason: string): Promise<boolean>
}

/** @returns the functions that end tokens */
export function createRevoke({
  unit,
  ring,
  accessTokens,
  families,
  end,
}: {
  unit: UnitOfWork
  ring: KeyRing
  accessTokens: AccessTokens
  families: Families
  end: End
}): Revoke {
  return {
    jwt: (jti, expiresAt, reason) => end({ kind: 'token', key: jwtKey(ring, jti), reason, expiresAt }),

    async family(familyHash, reason) {
      const first = await end({ kind: 'family', key: familyHash, reason })
      await families.remove(familyHash)
      await accessTokens.removeByFamily(familyHash)
      return first
    },

    async grant(grant, reason) {
      const first = await end({ kind: 'grant', key: grant, reason })
      const db = await unit.write()
      // As they are made from one another: who is about to add one has come before, or finds nothing any more.
      await db.deleteFrom('authorization_codes').where('grant_hash', '=', grant).execute()
      await db.deleteFrom('refresh_families').where('grant_hash', '=', grant).execute()
      await db.deleteFrom('access_tokens').where('grant_hash', '=', grant).execute()
      return first
    },
  }
}

/** @returns the key under which the ending of one JWT is noted */
export function jwtKey(ring: KeyRing, jti: string): Buffer {
  return ring.handle('jti', jti)
}
