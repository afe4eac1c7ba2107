// Housekeeping: what is over goes, what is not stays, and nobody waits for it.
import { type Connected, connect } from '../../src/db/connect.ts'
import { sweep } from '../../src/db/sweep.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let database: TestDatabase
let connected: Connected
const now = () => new Date()

beforeAll(async () => {
  database = await createTestDatabase()
  connected = connect(database.connection)
})
afterAll(async () => {
  await connected.close()
  await database.drop()
})

const count = async (table: string) => (await connected.pool.query(`select count(*)::int as n from ${table}`)).rows[0].n
const run = () => sweep({ db: connected.db, now })

it('removes expired rows of every table that has an end, in batches, and keeps the others', async () => {
  const { rows } = await connected.pool.query(
    `select table_name from information_schema.columns where column_name = 'expires_at' and table_schema = 'public' and table_name <> 'client_secrets'`,
  )
  expect(rows.length).toBeGreaterThanOrEqual(9)
  await connected.pool.query(`
    insert into replays select decode(md5(n::text), 'hex'), now() + case when n <= 2500 then interval '-2 days' else interval '1 hour' end from generate_series(1, 2510) n;
    insert into authorization_codes select decode(md5(n::text), 'hex'), '\\x00', '{}', null, now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into access_tokens select decode(md5(n::text), 'hex'), null, null, '{}', now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into refresh_families select decode(md5(n::text), 'hex'), '\\x00', '\\x00', null, 1, null, '{}', now() + (n - 2) * interval '2 days', now() from generate_series(1, 3) n;
    insert into sessions select decode(md5(n::text), 'hex'), 'u', null, '{}', now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into interactions select decode(md5(n::text), 'hex'), '{}', now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into grants select decode(md5(n::text), 'hex'), null, 'c', '{}', case n when 4 then null else now() + (n - 2) * interval '2 days' end from generate_series(1, 4) n;
    insert into endings select 'token', decode(md5(n::text), 'hex'), 'r', now(), now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into account_links select decode(md5(n::text), 'hex'), 'admin-setup', null, now() + (n - 2) * interval '2 days', null, now() from generate_series(1, 3) n;`)
  expect(await run()).toBe(2500 + 8)
  expect(await count('replays')).toBe(10)
  expect(await count('grants')).toBe(3)
  for (const table of rows.map((row) => row.table_name).filter((name) => !['replays', 'grants'].includes(name))) {
    expect([table, await count(table)]).toEqual([table, 2])
  }
  expect(await run()).toBe(0)
})

it('passes over rows that somebody holds, without waiting', async () => {
  await connected.pool.query(
    `insert into replays select decode(md5('held ' || n), 'hex'), now() - interval '1 day' from generate_series(1, 5) n`,
  )
  const holder = await connected.pool.connect()
  try {
    await holder.query('begin')
    await holder.query(`select from replays where expires_at < now() limit 1 for update`)
    const begun = performance.now()
    expect(await run()).toBe(4)
    expect(performance.now() - begun).toBeLessThan(2000)
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  expect(await run()).toBe(1)
})

it('two nodes at once remove each row once', async () => {
  await connected.pool.query(
    `insert into replays select decode(md5('twice ' || n), 'hex'), now() - interval '1 day' from generate_series(1, 3000) n`,
  )
  const removed = await Promise.all([run(), run(), run()])
  const rest = await run()
  expect(removed.reduce((sum, n) => sum + n, rest)).toBe(3000)
})
