// Opaque access tokens, of people and of clients. JWT access tokens are never stored.
import { randomBytes } from 'node:crypto'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import { formatOpaque, parseOpaque } from '../vocabulary/opaque.ts'

export interface AccessTokens {
  save(token: string, owner: { grantId?: string; family?: Buffer }, payload: object, expiresAt: Date): Promise<void>
  find(token: string): Promise<Record<string, unknown> | undefined>
  destroy(token: string): Promise<void>
  removeByFamily(familyHash: Buffer): Promise<void>
}

/** @returns a new opaque value of 256 random bits, for an access token or an authorization code */
export function mintOpaque(kind: 'at' | 'ac'): string {
  return formatOpaque(kind, randomBytes(32))
}

/** @returns the store of opaque access tokens */
export function createAccessTokens({ unit, ring }: { unit: UnitOfWork; ring: KeyRing }): AccessTokens {
  const key = (token: string) => ring.handle('access-token', token)
  return {
    async save(token, { grantId, family }, payload, expiresAt) {
      const db = await unit.write()
      await db
        .insertInto('access_tokens')
        .values({
          id_hash: key(token),
          grant_hash: grantId === undefined ? null : ring.handle('grant', grantId),
          family_hash: family ?? null,
          payload: JSON.stringify(payload),
          expires_at: expiresAt,
        })
        .execute()
    },

    async find(token) {
      if (parseOpaque(token)?.kind !== 'at') return undefined
      const db = await unit.read()
      const row = await db
        .selectFrom('access_tokens')
        .select('payload')
        .where('id_hash', '=', key(token))
        .executeTakeFirst()
      return row?.payload as Record<string, unknown> | undefined
    },

    async destroy(token) {
      const db = await unit.write()
      await db.deleteFrom('access_tokens').where('id_hash', '=', key(token)).execute()
    },

    async removeByFamily(familyHash) {
      const db = await unit.write()
      await db.deleteFrom('access_tokens').where('family_hash', '=', familyHash).execute()
    },
  }
}
