// The table of resources: rows in, resources out.
import type { Selectable } from 'kysely'
import type { ResourcesTable } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { type Resource, type ResourceScope, SIGN_ALGORITHMS, type SignAlgorithm } from './resource.ts'

export interface ResourceStore {
  find(id: string): Promise<Resource | undefined>
  /** Finds a resource and keeps others from changing it until the unit of work at hand ends. */
  lock(id: string): Promise<Resource | undefined>
  /** @returns all resources, by id */
  list(): Promise<readonly Resource[]>
  /** @returns false when the id is taken */
  insert(resource: Resource): Promise<boolean>
  /** @returns false when there is no such resource */
  update(resource: Resource): Promise<boolean>
  remove(id: string): Promise<boolean>
}

/** @returns the store of resources */
export function createResourceStore({ unit, now }: { unit: UnitOfWork; now: () => Date }): ResourceStore {
  return {
    async find(id) {
      const db = await unit.read()
      const row = await db.selectFrom('resources').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toResource(row)
    },

    async lock(id) {
      const db = await unit.write()
      const row = await db.selectFrom('resources').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
      return row && toResource(row)
    },

    async list() {
      const db = await unit.read()
      const rows = await db.selectFrom('resources').selectAll().orderBy('id').execute()
      return rows.map(toResource)
    },

    async insert(resource) {
      const db = await unit.write()
      const at = now()
      const result = await db
        .insertInto('resources')
        .values({ id: resource.id, ...toColumns(resource), created_at: at, updated_at: at })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst()
      return result.numInsertedOrUpdatedRows === 1n
    },

    async update(resource) {
      const db = await unit.write()
      const result = await db
        .updateTable('resources')
        .set({ ...toColumns(resource), updated_at: now() })
        .where('id', '=', resource.id)
        .executeTakeFirst()
      return result.numUpdatedRows === 1n
    },

    async remove(id) {
      const db = await unit.write()
      const result = await db.deleteFrom('resources').where('id', '=', id).executeTakeFirst()
      return result.numDeletedRows === 1n
    },
  }
}

function toColumns(resource: Resource) {
  return {
    name: resource.name,
    token_format: resource.format,
    sign_alg: resource.sign,
    lifetime_seconds: resource.lifetime,
    // A list, because jsonb forgets the order of a map's keys, and the consent page shows scopes in the document's order.
    scopes: JSON.stringify(resource.scopes),
  }
}

function toResource(row: Selectable<ResourcesTable>): Resource {
  if (!(SIGN_ALGORITHMS as readonly string[]).includes(row.sign_alg)) {
    throw new Error(`resources.sign_alg of row ${JSON.stringify(row.id)} has an impossible value`)
  }
  return {
    id: row.id,
    name: row.name,
    format: row.token_format,
    sign: row.sign_alg as SignAlgorithm,
    lifetime: row.lifetime_seconds,
    scopes: row.scopes as ResourceScope[],
  }
}
