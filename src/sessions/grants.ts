// Grants: what an account allowed a client, within one login session or, for clients that stay connected, beyond it. A grant
// remembers the epochs of account and client under which it was made, and is found only while they hold.
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'

export interface GrantStore {
  /**
   * Makes a grant under the epochs of the moment.
   * @param owner `epoch` is what the account's must still be, where a session says so
   * @returns false when its account or client is gone or disabled, or the account's epoch is another
   */
  make(id: string, owner: GrantOwner & { readonly epoch?: string }, payload: object, expiresAt?: Date): Promise<boolean>
  /** Changes what a grant allows; its epochs stay. @returns false when there is none any more: it must not come back by this */
  change(id: string, owner: GrantOwner, payload: object, expiresAt?: Date): Promise<boolean>
  /** @returns the grant, while it has not expired and account and client stand */
  find(id: string): Promise<Record<string, unknown> | undefined>
  /** @returns whether there was one */
  destroy(id: string): Promise<boolean>
  /** @returns the live grants of an account, by client */
  listOf(accountId: string): Promise<readonly Grant[]>
}

export interface GrantOwner {
  readonly accountId: string
  readonly clientId: string
}

export interface Grant {
  readonly id: string
  readonly clientId: string
  readonly expiresAt?: Date
}

const NAME = /^~([\w-]{22})$/

/** @returns a new grant id: a name, not a credential, that is its row key */
export function mintGrantId(): string {
  return grantId(randomBytes(16))
}

/** @returns the id of the grant with this row key, as JWT access tokens carry it in `gid` */
export function grantId(key: Buffer): string {
  return `~${key.toString('base64url')}`
}

/** @returns the row key of a grant @throws Error for what is no id of ours */
export function grantKey(id: string): Buffer {
  const name = NAME.exec(id)?.[1]
  if (name === undefined) throw new Error('no id of a grant')
  return Buffer.from(name, 'base64url')
}

/** @returns the store of grants */
export function createGrants({ unit, now }: { unit: UnitOfWork; now: () => Date }): GrantStore {
  const live = async () => {
    const db = await unit.read()
    return db
      .selectFrom('live_grants')
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now())]))
  }
  return {
    async make(id, { accountId, clientId, epoch }, payload, expiresAt) {
      const db = await unit.write()
      // Locked, so that who removes account or client has done it or waits: the foreign keys hold then.
      const result = await sql`insert into grants
          (id_hash, account_id, client_id, account_epoch, client_epoch, payload, expires_at)
        select ${grantKey(id)}, accounts.id, clients.id, accounts.epoch, clients.epoch, ${JSON.stringify(payload)}::jsonb,
          ${expiresAt ?? null}::timestamptz
        from accounts, clients
        where accounts.id = ${accountId} and accounts.disabled_at is null
          and accounts.epoch = coalesce(${epoch ?? null}::bigint, accounts.epoch)
          and clients.id = ${clientId} and clients.disabled_at is null
        for key share`.execute(db)
      return result.numAffectedRows === 1n
    },

    async change(id, { accountId, clientId }, payload, expiresAt) {
      const db = await unit.write()
      const result = await db
        .updateTable('grants')
        .set({ payload: JSON.stringify(payload), expires_at: expiresAt ?? null })
        .where('id_hash', '=', grantKey(id))
        .where('account_id', '=', accountId)
        .where('client_id', '=', clientId)
        .executeTakeFirst()
      return result.numUpdatedRows === 1n
    },

    async find(id) {
      if (!NAME.test(id)) return undefined
      const row = await (await live()).select('payload').where('id_hash', '=', grantKey(id)).executeTakeFirst()
      return row?.payload as Record<string, unknown> | undefined
    },

    async destroy(id) {
      if (!NAME.test(id)) return false
      const db = await unit.write()
      const result = await db.deleteFrom('grants').where('id_hash', '=', grantKey(id)).executeTakeFirst()
      return result.numDeletedRows === 1n
    },

    async listOf(accountId) {
      const query = (await live()).select(['id_hash', 'client_id', 'expires_at']).where('account_id', '=', accountId)
      const rows = await query.orderBy('client_id').execute()
      return rows.map((row) => ({
        id: grantId(row.id_hash),
        clientId: row.client_id,
        ...(row.expires_at && { expiresAt: row.expires_at }),
      }))
    },
  }
}
