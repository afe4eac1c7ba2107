import pg from 'pg'
import { createTestDatabase } from './database.ts'

describe('the test database', () => {
  it('is migrated, the test file’s own, reachable by its URL, and gone after drop', async () => {
    const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()])
    const tables = await one
      .pool()
      .query(`select count(*)::int as count from pg_tables where schemaname = 'public' and tablename <> 'only_here'`)
    expect(tables.rows[0].count).toBeGreaterThan(5)

    await one.pool().query('create table only_here ()')
    const seenByOther = await two.pool().query(`select to_regclass('only_here') is null as absent`)
    expect(seenByOther.rows[0].absent).toBe(true)

    const client = new pg.Client({ connectionString: one.url })
    client.on('error', () => undefined)
    await client.connect()
    const seen = await client.query(`select current_database() as name, to_regclass('only_here') is null as absent`)
    expect(seen.rows[0]).toEqual({ name: one.connection.database, absent: false })

    await one.drop() // though the client is still connected
    await expect(new pg.Client(one.connection).connect()).rejects.toMatchObject({ code: '3D000' })
    await two.drop()
    await two.drop()
  })
})
