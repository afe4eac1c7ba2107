// Grants: what an account allowed a client, within one login session or, for clients that stay connected, beyond it.
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

export interface GrantStore {
  save(id: string, owner: { accountId?: string; clientId: string }, payload: object, expiresAt?: Date): Promise<void>
  find(id: string): Promise<Record<string, unknown> | undefined>
  destroy(id: string): Promise<void>
  /** Finds a live grant by its row key; JWT access tokens carry the key, not the id. */
  findByKey(key: Buffer): Promise<Record<string, unknown> | undefined>
  /** Removes every grant of a client, or of an account. @returns their row keys */
  removeAll(owner: { clientId: string } | { accountId: string }): Promise<readonly Buffer[]>
  /** @returns the row key of a grant */
  key(id: string): Buffer
}

/** @returns the store of grants */
export function createGrants({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): GrantStore {
  const key = (id: string) => ring.handle('grant', id)
  return {
    key,

    async save(id, owner, payload, expiresAt) {
      const row = {
        account_id: owner.accountId ?? null,
        client_id: owner.clientId,
        payload: JSON.stringify(payload),
        expires_at: expiresAt ?? null,
      }
      const db = await unit.write()
      await db
        .insertInto('grants')
        .values({ id_hash: key(id), ...row })
        .onConflict((conflict) => conflict.column('id_hash').doUpdateSet(row))
        .execute()
    },

    async find(id) {
      const db = await unit.read()
      const row = await db.selectFrom('grants').select('payload').where('id_hash', '=', key(id)).executeTakeFirst()
      return row?.payload as Record<string, unknown> | undefined
    },

    async destroy(id) {
      const db = await unit.write()
      await db.deleteFrom('grants').where('id_hash', '=', key(id)).execute()
    },

    async removeAll(owner) {
      const db = await unit.write()
      const rows = await db
        .deleteFrom('grants')
        .where((eb) =>
          'clientId' in owner ? eb('client_id', '=', owner.clientId) : eb('account_id', '=', owner.accountId),
        )
        .returning('id_hash')
        .execute()
      return rows.map((row) => row.id_hash)
    },

    async findByKey(grantKey) {
      const db = await unit.read()
      const row = await db
        .selectFrom('grants')
        .select('payload')
        .where('id_hash', '=', grantKey)
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now())]))
        .executeTakeFirst()
      return row?.payload as Record<string, unknown> | undefined
    },
  }
}
