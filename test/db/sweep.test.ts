// Housekeeping: what is over goes, what is not stays, and nobody waits for it.
import { type Connected, connect } from '../../src/db/connect.ts'
import { type SweepOutcome, startSweeper } from '../../src/db/sweeper.ts'
import { SWEPT_TABLES } from '../../src/db/swept.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { slowDown } from '../helpers/slow-database.ts'
import { until } from '../helpers/until.ts'

let database: TestDatabase
let connected: Connected
const now = () => new Date()
let outcomes: SweepOutcome[]

beforeAll(async () => {
  database = await createTestDatabase()
  connected = connect(database.connection)
})
beforeEach(() => {
  outcomes = []
})
afterEach(() => connected.pool.query('delete from replays'))
afterAll(async () => {
  await connected.close()
  await database.drop()
})

const count = async (table: string) => (await connected.pool.query(`select count(*)::int as n from ${table}`)).rows[0].n
const report = (outcome: SweepOutcome) => void outcomes.push(outcome)
/** one that works when told */
const sweeper = (db = connected.db) => startSweeper({ db, now, report }, 0)
const errors = () => outcomes.flatMap((outcome) => ('error' in outcome ? [(outcome.error as Error).message] : []))
/** Adds replay values whose time is over. */
const addOver = (name: string, many: number, age = '1 day') =>
  connected.pool.query(
    `insert into replays select decode(md5($1 || n), 'hex'), now() - $2::interval - n * interval '10 microseconds' from generate_series(1, $3) n`,
    [name, age, many],
  )

/** Rows with an end that is an operator's word, not housekeeping. */
const NEVER_SWEPT = ['client_secrets', 'live_grants']

it('S-216 every table with an end is swept', async () => {
  const { rows } = await connected.pool.query<{ table_name: string }>(
    `select table_name from information_schema.columns where column_name in ('expires_at', 'ended_at')
      and table_schema = 'public' and not (table_name = 'endings' and column_name = 'ended_at')`,
  )
  const tables = rows.map((row) => row.table_name).filter((name) => !NEVER_SWEPT.includes(name))
  expect(tables.sort()).toEqual([...SWEPT_TABLES].sort())
})

it('removes what is over, in batches, and keeps the rest', async () => {
  await addOver('old ', 2500)
  await connected.pool.query(`
    insert into replays select decode(md5(n::text), 'hex'), now() + interval '1 hour' from generate_series(1, 10) n;
    insert into authorization_codes select decode(md5(n::text), 'hex'), '\\x00', '{}', null, now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into access_tokens select decode(md5(n::text), 'hex'), 1, 1, null, null, null, now(), now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into refresh_families select decode(md5(n::text), 'hex'), '\\x00', '\\x00', null, 1, null, '{}', now() + (n - 2) * interval '2 days', now() from generate_series(1, 3) n;
    insert into sessions (id_hash, uid, account_id, payload, expires_at) select decode(md5(n::text), 'hex'), 'u', null, '{}', now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into interactions select decode(md5(n::text), 'hex'), '{}', now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into grants (id_hash, client_id, account_epoch, client_epoch, payload, expires_at) select decode(md5(n::text), 'hex'), 'c', 1, 1, '{}', case n when 4 then null else now() + (n - 2) * interval '2 days' end from generate_series(1, 4) n;
    insert into pushed_requests select decode(md5(n::text), 'hex'), 'c', 'r', true, null, null, now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into endings select 'token', decode(md5(n::text), 'hex'), 'r', now(), now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into throttle_buckets select decode(md5(n::text), 'hex'), now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into token_facts select n, '{}', now() + (n - 2) * interval '2 days' from generate_series(1, 3) n;
    insert into ended_epochs select 1000 + n, now() + (n - 2) * interval '2 days', 'account' from generate_series(1, 3) n;
    insert into account_links select decode(md5(n::text), 'hex'), 'admin-setup', null, now() + (n - 2) * interval '2 days', null, now() from generate_series(1, 3) n;`)
  expect(await sweeper().sweep()).toBe(2500 + SWEPT_TABLES.length - 1)
  expect(await count('replays')).toBe(10)
  expect(await count('grants')).toBe(3)
  for (const table of SWEPT_TABLES.filter((name) => !['replays', 'grants'].includes(name))) {
    expect([table, await count(table)]).toEqual([table, 2])
  }
  expect(await sweeper().sweep()).toBe(0)
  expect(errors()).toEqual([])
})

it('passes over rows that somebody holds, without waiting', async () => {
  await addOver('held ', 5)
  const holder = await connected.pool.connect()
  try {
    await holder.query('begin')
    await holder.query(`select from replays limit 1 for update`)
    const begun = performance.now()
    expect(await sweeper().sweep()).toBe(4)
    expect(performance.now() - begun).toBeLessThan(2000)
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  expect(await sweeper().sweep()).toBe(1)
})

it('several nodes at once remove each row once', async () => {
  await addOver('twice ', 3000)
  const removed = await Promise.all([sweeper().sweep(), sweeper().sweep(), sweeper().sweep()])
  removed.push(await sweeper().sweep())
  expect(removed.reduce((sum, n) => sum + n, 0)).toBe(3000)
  expect(await count('replays')).toBe(0)
})

// How many rows a second go, and how long a statement takes, is for `npm run faults -- R-42` to say: other tests run beside this.
it('S-216 200,000 rows go in batches of bounded size', async () => {
  await addOver('many ', 200_000)
  expect(await sweeper().sweep()).toBe(200_000)
  expect(await count('replays')).toBe(0)
  const batches = outcomes.map((outcome) => ('removed' in outcome ? outcome.removed : 0))
  expect(Math.max(...batches)).toBeLessThanOrEqual(20_000)
  expect(errors()).toEqual([])
}, 120_000)

it('S-216 where removing is slow, it asks for fewer rows, and what takes too long is undone', async () => {
  await connected.pool.query(`
    create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(0.004); return old; end $$;
    create trigger dawdle before delete on replays for each row execute function dawdle()`)
  try {
    await addOver('slow ', 300)
    expect(await sweeper().sweep()).toBe(300)
  } finally {
    await connected.pool.query('drop function dawdle cascade')
  }
  const batches = outcomes.map((outcome) => ('removed' in outcome ? outcome.removed : 0))
  // 500 rows take two seconds, 125 take half of one, 31 take what a batch should.
  expect(Math.max(...batches)).toBeLessThan(125)
  expect(Math.min(...batches)).toBeLessThan(63)
  expect(errors()).toEqual([])
}, 30_000)

it('tells the lag of each table: how long the oldest row should have been gone', async () => {
  let ahead = 0
  const one = startSweeper({ db: connected.db, now: () => new Date(Date.now() + ahead * 1000), report }, 0)
  expect(one.lag()).toEqual({})
  await addOver('soon ', 1, '-30 seconds')
  await one.sweep()
  expect(Object.keys(one.lag()).sort()).toEqual([...SWEPT_TABLES].sort())
  expect(one.lag().replays).toBe(0)
  // Nobody sweeps: it grows by itself, from the end of the time that the row is kept.
  ahead = 30 + 60 + 50
  expect(one.lag().replays).toBeCloseTo(50, -1)
  await one.sweep()
  expect(one.lag().replays).toBe(0)
})

it('goes on after the database was away, and works off a backlog at once', async () => {
  const slow = await slowDown(database.connection, 0)
  const { db, close } = connect(slow.url, { max: 1 })
  const one = startSweeper({ db, now, report }, 50)
  try {
    await until(() => Object.keys(one.lag()).length === SWEPT_TABLES.length)
    await slow.interrupt()
    await until(() => errors().length > 0)
    await addOver('away ', 30_000)
    await slow.resume()
    await until(async () => (await count('replays')) === 0)
  } finally {
    await one.stop()
    await close()
    await slow.close()
  }
})
