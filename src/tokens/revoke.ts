// Ends tokens: one, a family, or all that hang on a grant. Rows go at once; JWTs, which have none, are noted as ended.
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Families } from './families.ts'

/** No access token lives longer than this; an ending older than this has nothing left to end. */
export const LONGEST_ACCESS_TOKEN_SECONDS = 24 * 60 * 60

/** How this room tells the one log that trust has ended; handed in, because rooms do not import one another. */
export type End = (ending: {
  kind: 'token' | 'family' | 'grant'
  key: Buffer
  reason: string
  expiresAt: Date
}) => Promise<boolean>

export interface Revoke {
  /** Ends one JWT access token by its `jti` (RFC 7009). @param expiresAt its own `exp` */
  jwt(jti: string, expiresAt: Date, reason: string): Promise<boolean>
  /** Ends a refresh family and every access token from it. @returns whether it was alive */
  family(familyHash: Buffer, reason: string): Promise<boolean>
  /** Ends everything that hangs on a grant. @returns whether it was alive */
  grant(grantId: string, reason: string): Promise<boolean>
  /** Ends everything that hangs on these grants (their row keys). */
  grants(grantKeys: readonly Buffer[], reason: string): Promise<void>
  /** Removes the opaque access tokens that a client holds for itself. */
  ofClient(clientId: string): Promise<void>
}

/** @returns the functions that end tokens */
export function createRevoke({
  unit,
  ring,
  now,
  accessTokens,
  families,
  end,
}: {
  unit: UnitOfWork
  ring: KeyRing
  now: () => Date
  accessTokens: AccessTokens
  families: Families
  end: End
}): Revoke {
  const afterLongestToken = () => new Date(now().getTime() + LONGEST_ACCESS_TOKEN_SECONDS * 1000)
  const removeRows = async (grantKeys: readonly Buffer[]) => {
    const db = await unit.write()
    await db.deleteFrom('access_tokens').where('grant_hash', 'in', grantKeys).execute()
    await db.deleteFrom('refresh_families').where('grant_hash', 'in', grantKeys).execute()
    await db.deleteFrom('authorization_codes').where('grant_hash', 'in', grantKeys).execute()
  }
  return {
    jwt: (jti, expiresAt, reason) => end({ kind: 'token', key: jwtKey(ring, jti), reason, expiresAt }),

    async family(familyHash, reason) {
      const first = await end({ kind: 'family', key: familyHash, reason, expiresAt: afterLongestToken() })
      await families.remove(familyHash)
      await accessTokens.removeByFamily(familyHash)
      return first
    },

    async grant(grantId, reason) {
      const key = ring.handle('grant', grantId)
      const first = await end({ kind: 'grant', key, reason, expiresAt: afterLongestToken() })
      await removeRows([key])
      return first
    },

    async grants(grantKeys, reason) {
      for (const key of grantKeys) await end({ kind: 'grant', key, reason, expiresAt: afterLongestToken() })
      if (grantKeys.length > 0) await removeRows(grantKeys)
    },

    async ofClient(clientId) {
      const db = await unit.write()
      await db
        .deleteFrom('access_tokens')
        .where('grant_hash', 'is', null)
        .where(sql`payload ->> 'clientId'`, '=', clientId)
        .execute()
    },
  }
}

/** @returns the key under which the ending of one JWT is noted */
export function jwtKey(ring: KeyRing, jti: string): Buffer {
  return ring.handle('jti', jti)
}
