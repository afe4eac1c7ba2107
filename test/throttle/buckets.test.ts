// Buckets that many connections share: never a token too many, none lost, nobody waits for ever.
import { randomBytes } from 'node:crypto'
import { type Connected, connect } from '../../src/db/connect.ts'
import { type Bucket, createBuckets } from '../../src/throttle/buckets.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { untilBlocked } from '../helpers/until.ts'

let database: TestDatabase
/** three pools, as three processes have them */
let nodes: Connected[]
let time = new Date('2030-01-01T12:00:00Z').getTime()
const pass = (seconds: number) => {
  time += seconds * 1000
}

beforeAll(async () => {
  database = await createTestDatabase()
  nodes = [1, 2, 3].map(() => connect(database.connection))
  // A cold pool lets one statement end before the next has a connection.
  await Promise.all(nodes.flatMap(({ pool }) => Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.05)'))))
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  await database.drop()
})

const shared = () => nodes.map(({ db }) => createBuckets({ db, now: () => new Date(time) }))
const bucket = (burst: number, every = 60): Bucket => ({ key: randomBytes(16), burst, every })
const rows = async () => (await nodes[0]!.pool.query('select * from throttle_buckets order by key')).rows

/** Takes at once over all nodes. @returns how many got their tokens */
async function takeAtOnce(times: number, wanted: (index: number) => readonly Bucket[]): Promise<number> {
  const buckets = shared()
  const all = await Promise.all(Array.from({ length: times }, (_, index) => buckets[index % 3]!.take(wanted(index))))
  return all.filter(({ ok }) => ok).length
}

it('S-200 of 200 at once exactly the burst is let through, at the first use and after a rest', async () => {
  const one = bucket(5)
  expect(await takeAtOnce(200, () => [one])).toBe(5)
  expect(await takeAtOnce(50, () => [one])).toBe(0)
  pass(59.9)
  expect(await takeAtOnce(50, () => [one])).toBe(0)
  pass(0.1)
  expect(await takeAtOnce(50, () => [one])).toBe(1)
  pass(3 * 60)
  expect(await takeAtOnce(200, () => [one])).toBe(3)
  pass(24 * 60 * 60)
  expect(await takeAtOnce(200, () => [one])).toBe(5)
})

it('S-200 buckets are taken together or not at all, in whatever order they are named', async () => {
  for (let turn = 0; turn < 5; turn++) {
    const [narrow, wide] = [bucket(7), bucket(20)]
    expect(await takeAtOnce(100, (index) => (index % 2 ? [narrow, wide] : [wide, narrow]))).toBe(7)
    // The 93 that the narrow one refused have taken nothing from the wide one.
    expect(await takeAtOnce(100, () => [wide])).toBe(13)
  }
})

it('S-200 who had to wait for a row goes by what it is then, and not by what it was', async () => {
  const [narrow, wide] = [bucket(4), bucket(9)]
  await takeAtOnce(1, () => [narrow, wide])
  pass(60)
  const pool = database.pool({ max: 2 })
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('select from throttle_buckets where key = any($1) for update', [[narrow.key, wide.key]])
  const taken = takeAtOnce(30, (index) => (index % 2 ? [narrow, wide] : [wide, narrow]))
  await untilBlocked(pool, 30)
  await holder.query('commit')
  holder.release()
  expect(await taken).toBe(4)
  expect(await takeAtOnce(20, () => [wide])).toBe(5)
})

it('three buckets crosswise: none over its burst, nobody waits for ever', async () => {
  const all = [bucket(30), bucket(30), bucket(30)]
  const got = [0, 0, 0]
  const buckets = shared()
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const pair = [index % 3, (index + 1) % 3]
      const { ok } = await buckets[(index >> 2) % 3]!.take(pair.map((at) => all[at]!))
      if (ok) for (const at of pair) got[at]! += 1
    }),
  )
  expect(got.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(60)
  for (const count of got) expect(count).toBeLessThanOrEqual(30)
})

it('what is given back can be taken again, and nothing more', async () => {
  const [one, other] = [bucket(3), bucket(9)]
  const [buckets] = shared()
  expect(await takeAtOnce(50, () => [one, other])).toBe(3)
  await Promise.all([1, 2].map(() => buckets!.giveBack([other, one])))
  expect(await takeAtOnce(50, () => [one])).toBe(2)
  expect(await takeAtOnce(50, () => [other])).toBe(8)
  // A bucket that has filled up meanwhile is full, and no fuller.
  pass(60 * 60)
  await buckets!.giveBack([one])
  expect(await takeAtOnce(50, () => [one])).toBe(3)
})

it('takers and givers at once leave each bucket as it must be', async () => {
  const [one, other] = [bucket(10), bucket(10)]
  const buckets = shared()
  let kept = 0
  await Promise.all(
    Array.from({ length: 150 }, async (_, index) => {
      const mine = buckets[index % 3]!
      const pair = index % 2 ? [one, other] : [other, one]
      if (!(await mine.take(pair)).ok) return
      if (index % 5 === 0) kept += 1
      else await mine.giveBack(pair)
    }),
  )
  expect(kept).toBeLessThanOrEqual(10)
  expect(await takeAtOnce(30, () => [one])).toBe(10 - kept)
  expect(await takeAtOnce(30, () => [other])).toBe(10 - kept)
})

it('says how long to wait, and which bucket is to blame', async () => {
  const [fast, slow] = [bucket(1, 10), bucket(1, 90)]
  const [buckets] = shared()
  await buckets!.take([fast, slow])
  pass(4)
  expect(await buckets!.take([fast, slow])).toEqual({
    ok: false,
    lacking: slow.key,
    seconds: 86,
    at: new Date(time + 86_000),
  })
  expect(await buckets!.take([fast])).toMatchObject({ ok: false, lacking: fast.key, seconds: 6 })
  pass(86)
  expect(await buckets!.take([fast, slow])).toEqual({ ok: true })
})

it('who hammers at an empty bucket writes nothing', async () => {
  const [empty, other] = [bucket(1), bucket(5)]
  await takeAtOnce(1, () => [empty, other])
  const before = await nodes[0]!.pool.query('select key, xmin, xmax, ctid from throttle_buckets order by key')
  expect(await takeAtOnce(100, () => [empty, other])).toBe(0)
  expect(await takeAtOnce(20, () => [empty, bucket(5)])).toBe(0)
  const after = await nodes[0]!.pool.query('select key, xmin, xmax, ctid from throttle_buckets order by key')
  expect(after.rows).toEqual(before.rows)
})

it('R-37 with the clock put back nobody waits for longer than one token', async () => {
  const one = bucket(5)
  expect(await takeAtOnce(20, () => [one])).toBe(5)
  pass(-60 * 60)
  const [buckets] = shared()
  expect(await buckets!.take([one])).toMatchObject({ ok: false, seconds: 60 })
  pass(60)
  expect(await takeAtOnce(20, () => [one])).toBe(1)
})

it('R-37 the clock is that of the database, and the same for every node', async () => {
  const one = bucket(4)
  const own = nodes.map(({ db }) => createBuckets({ db }))
  const all = await Promise.all(Array.from({ length: 60 }, (_, index) => own[index % 3]!.take([one])))
  expect(all.filter(({ ok }) => ok)).toHaveLength(4)
  const { rows } = await nodes[0]!.pool.query(
    `select extract(epoch from expires_at - now())::float8 as rest from throttle_buckets where key = $1`,
    [one.key],
  )
  expect(rows[0].rest).toBeGreaterThan(230)
  expect(rows[0].rest).toBeLessThanOrEqual(240)
})

it('no lock is held and no transaction is open between a try and its give-back', async () => {
  const one = bucket(2)
  const [buckets] = shared()
  await buckets!.take([one])
  const { rows: open } = await nodes[0]!.pool.query(
    `select state from pg_stat_activity where datname = current_database() and state like 'idle in%'`,
  )
  expect(open).toEqual([])
  expect((await rows()).some(({ key }) => key.equals(one.key))).toBe(true)
})
