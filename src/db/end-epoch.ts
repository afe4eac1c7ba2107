// Ends all that an account or a client has open: what was made under its old epoch is found by nobody.
import { sql } from 'kysely'
import type { Db } from './unit-of-work.ts'

/** Begins a new epoch of a row. @returns the one that is over by it; undefined when there is no such row */
export async function endEpoch(db: Db, table: 'accounts' | 'clients', id: string): Promise<string | undefined> {
  const rows = sql.table(table)
  const result = await sql<{ epoch: string }>`with before as (select id, epoch from ${rows} where id = ${id} for update)
    update ${rows} as row set epoch = nextval('epochs') from before where row.id = before.id
    returning before.epoch`.execute(db)
  return result.rows[0]?.epoch
}
