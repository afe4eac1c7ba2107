// The table of clients: rows in, clients out.
import { type Selectable, sql } from 'kysely'
import { endEpoch } from '../db/end-epoch.ts'
import type { ClientsTable } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import {
  AUTH_METHODS,
  type AuthMethod,
  type Client,
  type ClientFields,
  RESPONSE_MODES,
  type ResponseMode,
} from './client.ts'

export interface ClientStore {
  find(id: string): Promise<Client | undefined>
  /** Finds a client and keeps others from changing it until the unit of work at hand ends. */
  lock(id: string): Promise<Client | undefined>
  /** @returns all clients, by id */
  list(): Promise<readonly Client[]>
  /** @returns the ids of clients that have scopes of a resource, or serve it */
  namingResource(resourceId: string): Promise<readonly string[]>
  /** @returns false when the id is taken */
  insert(fields: ClientFields): Promise<boolean>
  /** @returns false when there is no such client */
  update(fields: ClientFields): Promise<boolean>
  /** Begins a new epoch. @returns the one that is over by it; undefined when there is no such client */
  endEpoch(id: string): Promise<string | undefined>
  setDisabled(id: string, disabledAt: Date | undefined): Promise<boolean>
  /** Deletes the client and its secrets. @returns false when there is no such client */
  remove(id: string): Promise<boolean>
}

/** @returns the store of clients */
export function createClientStore({ unit, now }: { unit: UnitOfWork; now: () => Date }): ClientStore {
  return {
    async find(id) {
      const db = await unit.read()
      const row = await db.selectFrom('clients').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toClient(row)
    },

    async lock(id) {
      const db = await unit.write()
      const row = await db.selectFrom('clients').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
      return row && toClient(row)
    },

    async list() {
      const db = await unit.read()
      const rows = await db.selectFrom('clients').selectAll().orderBy('id').execute()
      return rows.map(toClient)
    },

    async namingResource(resourceId) {
      const db = await unit.read()
      const rows = await db
        .selectFrom('clients')
        .select('id')
        .where(sql<boolean>`jsonb_exists(scopes, ${resourceId}) or ${resourceId} = any(serves)`)
        .orderBy('id')
        .execute()
      return rows.map(({ id }) => id)
    },

    async insert(fields) {
      const db = await unit.write()
      const at = now()
      const result = await db
        .insertInto('clients')
        .values({ id: fields.id, ...toColumns(fields), created_at: at, updated_at: at })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst()
      return result.numInsertedOrUpdatedRows === 1n
    },

    async update(fields) {
      const db = await unit.write()
      const result = await db
        .updateTable('clients')
        .set({ ...toColumns(fields), updated_at: now() })
        .where('id', '=', fields.id)
        .executeTakeFirst()
      return result.numUpdatedRows === 1n
    },

    endEpoch: async (id) => endEpoch(await unit.write(), 'clients', id),

    async setDisabled(id, disabledAt) {
      const db = await unit.write()
      const result = await db
        .updateTable('clients')
        .set({ disabled_at: disabledAt ?? null, updated_at: now() })
        .where('id', '=', id)
        .executeTakeFirst()
      return result.numUpdatedRows === 1n
    },

    async remove(id) {
      const db = await unit.write()
      const result = await db.deleteFrom('clients').where('id', '=', id).executeTakeFirst()
      return result.numDeletedRows === 1n
    },
  }
}

function toColumns(fields: ClientFields) {
  return {
    name: fields.name,
    kind: fields.kind,
    auth_method: fields.authMethod,
    first_party: fields.firstParty,
    redirect_uris: [...fields.redirectUris],
    post_logout_redirect_uris: [...fields.postLogoutRedirectUris],
    response_modes: [...fields.responseModes],
    refresh: fields.refresh,
    require_par: fields.requirePar,
    dpop: fields.dpop,
    scopes: JSON.stringify(fields.scopes),
    serves: [...fields.serves],
    jwks: fields.jwks ? JSON.stringify(fields.jwks) : sql<string>`null`,
    jwks_uri: fields.jwksUri ?? null,
  }
}

function toClient(row: Selectable<ClientsTable>): Client {
  const impossible =
    (!(AUTH_METHODS as readonly string[]).includes(row.auth_method) && 'auth_method') ||
    (!row.response_modes.every((mode) => (RESPONSE_MODES as readonly string[]).includes(mode)) && 'response_modes')
  if (impossible) throw new Error(`clients.${impossible} of row ${JSON.stringify(row.id)} has an impossible value`)
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    authMethod: row.auth_method as AuthMethod,
    firstParty: row.first_party,
    redirectUris: row.redirect_uris,
    postLogoutRedirectUris: row.post_logout_redirect_uris,
    responseModes: row.response_modes as ResponseMode[],
    refresh: row.refresh,
    requirePar: row.require_par,
    dpop: row.dpop,
    scopes: row.scopes as ClientFields['scopes'],
    serves: row.serves,
    ...(row.jwks && { jwks: row.jwks as ClientFields['jwks'] }),
    ...(row.jwks_uri !== null && { jwksUri: row.jwks_uri }),
    ...(row.disabled_at && { disabledAt: row.disabled_at }),
    createdAt: row.created_at,
    epoch: row.epoch,
  }
}
