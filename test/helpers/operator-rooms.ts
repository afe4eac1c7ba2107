// The rooms that operators' commands use, over a test database, without a server.
import { sql } from 'kysely'
import { pino } from 'pino'
import { commandRooms } from '../../src/command-rooms.ts'
import { readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import type { Db, UnitOfWork } from '../../src/db/unit-of-work.ts'
import { buildRooms } from '../../src/wire.ts'
import type { TestDatabase } from './database.ts'
import { TEST_SECRET } from './server.ts'

export type OperatorRooms = Awaited<ReturnType<typeof createOperatorRooms>>

/**
 * @param options `applyUnit` may stand between apply and its unit of work
 * @returns the rooms, with what tests look at beside them; `close` ends the connections
 */
export async function createOperatorRooms(
  database: TestDatabase,
  { applyUnit = (unit) => unit }: { applyUnit?: (unit: UnitOfWork) => UnitOfWork } = {},
) {
  const { db, close } = connect(database.connection)
  const config = readConfig({ DATABASE_URL: database.url, GATEHOUSE_SECRET: TEST_SECRET })
  await giveKeys(db)
  const rooms = await buildRooms({ config, db, log: pino({ level: 'silent' }) })
  await takeKeys(db)
  const commands = commandRooms({ ...rooms, unit: applyUnit(rooms.unit) })
  return {
    ...commands,
    accounts: { ...rooms.accounts, ...commands.accounts },
    db,
    close,
    verifySecret: rooms.atHand.verifySecret,
  }
}

const KEY_TABLES = ['key_ring', 'signing_keys'] as const

/** Of the first database of a test file, by table: the others get the same, because an RSA key takes its time to make. */
const keys = new Map<string, string>()

async function takeKeys(db: Db): Promise<void> {
  if (keys.size > 0) return
  for (const table of KEY_TABLES) {
    const rows = await sql<{ all: string }>`select json_agg(one)::text as all from ${sql.table(table)} as one`.execute(
      db,
    )
    keys.set(table, rows.rows[0]!.all)
  }
}

async function giveKeys(db: Db): Promise<void> {
  for (const [name, rows] of keys) {
    const table = sql.table(name)
    await sql`insert into ${table} select * from json_populate_recordset(null::${table}, ${rows}::json)
      on conflict do nothing`.execute(db)
  }
}

/** @returns every row of every table of ours as text, for tests of what is kept and of what did not change */
export async function dumpTables({ db }: Pick<OperatorRooms, 'db'>): Promise<Record<string, string>> {
  const tables = ['resources', 'clients', 'client_secrets', 'accounts', 'account_links', 'audit_entries'] as const
  const rows = await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()))
  return Object.fromEntries(tables.map((table, index) => [table, JSON.stringify(rows[index])]))
}
