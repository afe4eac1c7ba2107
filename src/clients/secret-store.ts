// The table of client secrets: keyed hashes, or sealed where the secret itself is needed; never a secret in clear.
import { randomUUID } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import { LOCKS } from '../db/locks.ts'
import type { ClientSecretsTable } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'

/** Exactly one of `hash` and `sealed` is there. */
export interface NewClientSecret {
  readonly name?: string
  /** keyed hash of the secret, 32 bytes, and the version of the ring that it is under */
  readonly hash?: Buffer
  readonly hashVersion?: number
  /** the secret, encrypted under the ring */
  readonly sealed?: Buffer
  readonly createdAt: Date
  /** from then on it is refused */
  readonly expiresAt?: Date
}

export interface VersionedHash {
  readonly hash: Buffer
  readonly hashVersion: number
}

export interface ClientSecretRow extends NewClientSecret {
  readonly id: string
  /** to the minute or so: uses are written together */
  readonly lastUsedAt?: Date
}

export interface ClientSecretStore {
  /** @returns the secrets of one client, newest first, expired ones too */
  list(clientId: string): Promise<readonly ClientSecretRow[]>
  /** @returns the id of the new row */
  insert(clientId: string, secret: NewClientSecret): Promise<string>
  /** Lets no secret of the client live longer than `at`, and removes those that are over by then. */
  endAll(clientId: string, at: { readonly now: Date; readonly end: Date }): Promise<void>
  /** @returns false when the client has no such secret */
  remove(clientId: string, id: string): Promise<boolean>
  /** @returns how many there were */
  removeAll(clientId: string): Promise<number>
  /** Writes when secrets were last used. Rows that somebody is changing are left for their next use. */
  noteUses(uses: ReadonlyMap<string, Date>): Promise<void>
  /** Keeps secrets under hashes of a newer version of the ring. Rows that somebody is changing are left alone. */
  rehash(hashes: ReadonlyMap<string, VersionedHash>): Promise<void>
  /** @param again gives what a sealed secret is to be kept as from now on, or undefined. @returns how many were changed */
  reseal(again: (clientId: string, sealed: Buffer) => Buffer | undefined): Promise<number>
}

/** @returns the store of client secrets */
export function createClientSecretStore({ unit }: { unit: UnitOfWork }): ClientSecretStore {
  return {
    async list(clientId) {
      const db = await unit.read()
      const rows = await db
        .selectFrom('client_secrets')
        .selectAll()
        .where('client_id', '=', clientId)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .execute()
      return rows.map(toSecret)
    },

    async insert(clientId, { name, hash, hashVersion, sealed, createdAt, expiresAt }) {
      const db = await unit.write()
      const id = randomUUID()
      await db
        .insertInto('client_secrets')
        .values({
          id,
          client_id: clientId,
          name: name ?? null,
          hash: hash ?? null,
          ...(hashVersion !== undefined && { hash_version: hashVersion }),
          sealed: sealed ?? null,
          created_at: createdAt,
          expires_at: expiresAt ?? null,
        })
        .execute()
      return id
    },

    async endAll(clientId, { now, end }) {
      const db = await unit.write()
      await db
        .deleteFrom('client_secrets')
        .where('client_id', '=', clientId)
        .where((is) => is.or([is('expires_at', '<=', now), is.val(end <= now)]))
        .execute()
      await db
        .updateTable('client_secrets')
        .set({ expires_at: end })
        .where('client_id', '=', clientId)
        .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', end)]))
        .execute()
    },

    async remove(clientId, id) {
      const db = await unit.write()
      const result = await db
        .deleteFrom('client_secrets')
        .where('client_id', '=', clientId)
        .where('id', '=', id)
        .executeTakeFirst()
      return result.numDeletedRows === 1n
    },

    async removeAll(clientId) {
      const db = await unit.write()
      const result = await db.deleteFrom('client_secrets').where('client_id', '=', clientId).executeTakeFirst()
      return Number(result.numDeletedRows)
    },

    async noteUses(uses) {
      const db = await unit.write()
      const [ids, times] = [[...uses.keys()], [...uses.values()]]
      await sql`update client_secrets set last_used_at = used.at
        from unnest(${ids}::text[], ${times}::timestamptz[]) as used (id, at)
        where client_secrets.id = used.id
          and (client_secrets.last_used_at is null or client_secrets.last_used_at < used.at)
          and client_secrets.id = any(array(
            select id from client_secrets where id = any(${ids}::text[]) for no key update skip locked))`.execute(db)
    },

    async rehash(hashes) {
      const db = await unit.write()
      const ids = [...hashes.keys()]
      const [bytes, versions] = [
        [...hashes.values()].map(({ hash }) => hash),
        [...hashes.values()].map((one) => one.hashVersion),
      ]
      await sql`update client_secrets set hash = newer.hash, hash_version = newer.version
        from unnest(${ids}::text[], ${bytes}::bytea[], ${versions}::integer[]) as newer (id, hash, version)
        where client_secrets.id = newer.id and client_secrets.hash_version < newer.version
          and client_secrets.id = any(array(
            select id from client_secrets where id = any(${ids}::text[]) for no key update skip locked))`.execute(db)
    },

    async reseal(again) {
      const db = await unit.write()
      // Clients first, as whoever gives one of them another secret; and many of them.
      await sql`select pg_advisory_xact_lock(${LOCKS.many})`.execute(db)
      const rows = db.selectFrom('client_secrets').where('sealed', 'is not', null)
      const clients = db.selectFrom('clients').select('id').where('id', 'in', rows.select('client_id'))
      await clients.orderBy('id').forNoKeyUpdate().execute()
      let count = 0
      for (const { id, client_id, sealed } of await rows.select(['id', 'client_id', 'sealed']).execute()) {
        const changed = again(client_id, sealed!)
        if (!changed) continue
        await db.updateTable('client_secrets').set({ sealed: changed }).where('id', '=', id).execute()
        count += 1
      }
      return count
    },
  }
}

function toSecret(row: Selectable<ClientSecretsTable>): ClientSecretRow {
  return {
    id: row.id,
    ...(row.name !== null && { name: row.name }),
    ...(row.hash && { hash: row.hash, hashVersion: row.hash_version }),
    ...(row.sealed && { sealed: row.sealed }),
    createdAt: row.created_at,
    ...(row.expires_at && { expiresAt: row.expires_at }),
    ...(row.last_used_at && { lastUsedAt: row.last_used_at }),
  }
}
