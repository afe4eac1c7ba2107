// The table of client secrets: keyed hashes, never a secret.
import { randomUUID } from 'node:crypto'
import type { UnitOfWork } from '../db/unit-of-work.ts'

export interface ClientSecretRow {
  readonly hash: Buffer
  readonly createdAt: Date
  readonly expiresAt?: Date
}

export interface ClientSecretStore {
  /** @returns the secrets of one client, newest first, expired ones too */
  list(clientId: string): Promise<readonly ClientSecretRow[]>
  insert(clientId: string, secret: ClientSecretRow): Promise<void>
  /** @returns how many there were */
  removeAll(clientId: string): Promise<number>
}

/** @returns the store of client secrets */
export function createClientSecretStore({ unit }: { unit: UnitOfWork }): ClientSecretStore {
  return {
    async list(clientId) {
      const db = await unit.read()
      const rows = await db
        .selectFrom('client_secrets')
        .select(['hash', 'created_at', 'expires_at'])
        .where('client_id', '=', clientId)
        .orderBy('created_at', 'desc')
        .execute()
      return rows.map((row) => ({
        hash: row.hash,
        createdAt: row.created_at,
        ...(row.expires_at && { expiresAt: row.expires_at }),
      }))
    },

    async insert(clientId, { hash, createdAt, expiresAt }) {
      const db = await unit.write()
      await db
        .insertInto('client_secrets')
        .values({
          id: randomUUID(),
          client_id: clientId,
          hash,
          created_at: createdAt,
          expires_at: expiresAt ?? null,
        })
        .execute()
    },

    async removeAll(clientId) {
      const db = await unit.write()
      const result = await db.deleteFrom('client_secrets').where('client_id', '=', clientId).executeTakeFirst()
      return Number(result.numDeletedRows)
    },
  }
}
