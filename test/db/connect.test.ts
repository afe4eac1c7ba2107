// The connections that requests use.
import { sql } from 'kysely'
import { connect } from '../../src/db/connect.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

it('S-215 end a statement, and a transaction that nobody goes on with, by themselves', async () => {
  const { db, close } = connect(database.connection, { patience: 'request', max: 1 })
  try {
    const { rows } = await sql<{ name: string; milliseconds: number }>`select name, setting::int as milliseconds
      from pg_settings where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`.execute(
      db,
    )
    expect(rows).toHaveLength(3)
    for (const { milliseconds } of rows) expect(milliseconds).toBeGreaterThan(0)
    await expect(sql`select pg_sleep(10)`.execute(db)).rejects.toThrow(/timeout|cancel/)
  } finally {
    await close()
  }
})

it('S-215 need no more than to read and write rows: who may not change tables still serves', async () => {
  const pool = database.pool()
  const name = `rows_only_${process.pid}`
  await pool.query(`create role ${name}`)
  await pool.query(`grant select, insert, update, delete on all tables in schema public to ${name}`)
  const { db, close } = connect(database.connection, { max: 1 })
  try {
    await sql`set role ${sql.id(name)}`.execute(db)
    await sql`insert into ended_epochs (epoch, kind, ended_at) values (1, 'client', now())`.execute(db)
    await sql`delete from ended_epochs`.execute(db)
    for (const change of [
      sql`create table t (id int)`,
      sql`drop table resources`,
      sql`alter table resources add x int`,
    ])
      await expect(change.execute(db)).rejects.toThrow(/permission denied|must be owner/)
  } finally {
    await close()
    await pool.query(`drop owned by ${name}`)
    await pool.query(`drop role ${name}`)
  }
})
