// Migrations: run once however many start together, undone in order, and never by a version that a newer one has left behind.
import { sql } from 'kysely'
import { connect } from '../../src/db/connect.ts'
import { migrateDown, migrateToLatest, pendingMigrations } from '../../src/db/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { until } from '../helpers/until.ts'

let database: TestDatabase
const opened: { close(): Promise<void> }[] = []
const open = () => {
  const connected = connect(database.connection, { max: 2 })
  opened.push(connected)
  return connected.db
}

beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  await database.drop()
})

it('goes down to nothing and up again', async () => {
  const db = open()
  expect(await pendingMigrations(db)).toEqual([])
  await migrateDown(db)
  const left = await sql<{ table_name: string }>`select table_name from information_schema.tables
    where table_schema = 'public' and table_name not like 'kysely%' and table_name <> 'migration_floors'`.execute(db)
  expect(left.rows).toEqual([])
  const pending = await pendingMigrations(db)
  expect(pending.length).toBeGreaterThanOrEqual(6)
  expect((await migrateToLatest(db, '0.1.0')).applied).toEqual(pending)
})

it('several starters at once: each migration runs once, and all of them go on', async () => {
  await migrateDown(open())
  const reports = await Promise.all(Array.from({ length: 4 }, () => migrateToLatest(open(), '0.1.0')))
  const applied = reports.flatMap((report) => report.applied)
  expect(applied.length).toBe(new Set(applied).size)
  expect(await pendingMigrations(open())).toEqual([])
})

it('lives with a newer database that allows it, and refuses one that does not', async () => {
  const db = open()
  const add = (name: string, floor: string) =>
    sql`with one as (insert into kysely_migration (name, timestamp) values (${name}, '2030-01-01'))
      insert into migration_floors values (${name}, ${floor})`.execute(db)
  await add('0900-later', '0.1.0')
  expect(await migrateToLatest(db, '0.1.0')).toEqual({ applied: [], newer: ['0900-later'] })
  await add('0901-too-late', '0.10.0')
  await expect(migrateToLatest(db, '0.9.0')).rejects.toMatchObject({
    name: 'OperatorFault',
    advice: expect.stringContaining('0.10.0'),
  })
  expect((await migrateToLatest(db, '0.10.0')).newer).toHaveLength(2)
})

it('whoever dies before it has said which versions can live with its migrations has not migrated', async () => {
  const db = open()
  await migrateDown(db)
  await sql`truncate migration_floors`.execute(db)
  const holder = await database.pool({ max: 1 }).connect()
  await holder.query('begin; lock table migration_floors in exclusive mode')
  const dying = expect(migrateToLatest(open(), '0.1.0')).rejects.toThrow()
  const kill = sql`select pg_terminate_backend(pid) from pg_locks
    where relation = 'migration_floors'::regclass and not granted`
  await until(async () => (await kill.execute(db)).rows.length > 0)
  await dying
  holder.release(true)
  const unsaid = sql`select name from kysely_migration where name not in (select name from migration_floors)`
  expect((await unsaid.execute(db)).rows).toEqual([])
  await migrateToLatest(open(), '0.1.0')
  expect([await pendingMigrations(db), (await unsaid.execute(db)).rows]).toEqual([[], []])
})
