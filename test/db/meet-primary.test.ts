// The first to come to another primary ends what may be used once, before anybody uses the connection.
import { connect } from '../../src/db/connect.ts'
import { migrateDown, migrateToLatest } from '../../src/db/migrate.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createReplays } from '../../src/tokens/replay.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let database: TestDatabase
const opened: { close(): Promise<void> }[] = []

beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ close }) => close()))
  await database.drop()
})

/** A process of its own: it has seen no primary yet. */
const open = () => {
  const connected = connect(database.connection, { max: 2 })
  opened.push(connected)
  return connected
}
const look = (process = open()) => process.db.selectFrom('primary_met').selectAll().execute()
const sql = async (text: string) => (await database.pool({ max: 1 }).query(text)).rows

/** What was used, and what was not. */
const things = () =>
  sql(`insert into authorization_codes (id_hash, grant_hash, payload, consumed_at, expires_at)
      values ('a', 'g', '{}', null, now() + '1 minute'), ('b', 'g', '{}', now(), now() + '1 minute');
    insert into pushed_requests (id_hash, client_id, request, trusted, consumed_at, expires_at)
      values ('a', 'shop', 'x', true, null, now() + '1 minute'), ('b', 'shop', 'x', true, now(), now() + '1 minute');
    insert into account_links (token_hash, purpose, expires_at, used_at, created_at)
      values ('a', 'admin-setup', now() + '1 hour', null, now()), ('b', 'admin-setup', now() + '1 hour', now(), now())`)
const left = () =>
  sql(`select 'code ' || encode(id_hash, 'escape') as one from authorization_codes
    union all select 'pushed ' || encode(id_hash, 'escape') from pushed_requests
    union all select 'link ' || encode(token_hash, 'escape') from account_links order by one`).then((rows) =>
    rows.map(({ one }) => one),
  )
const ALL = ['code a', 'code b', 'link a', 'link b', 'pushed a', 'pushed b']
const USED = ['code b', 'link b', 'pushed b']
const audited = () => sql(`select actor, subject, detail from audit_entries where kind = 'database.promoted'`)

it('a primary that is met for the first time ends nothing, and neither does the same one again', async () => {
  await sql('truncate primary_met')
  await things()
  const [first] = await look()
  expect(first).toMatchObject({ timeline: expect.any(Number), promoted_at: null })
  expect(await look()).toEqual([first])
  expect([await left(), await audited()]).toEqual([ALL, []])
})

it.each([
  ['a newer timeline', 'timeline = timeline - 1'],
  ['another cluster, as after a restore', "system = 'another'"],
])('R-24 on %s what was not used is over, once, however many come', async (_what, before) => {
  await look()
  await things()
  await sql(`update primary_met set ${before}`)
  const seen = await Promise.all(Array.from({ length: 8 }, () => look()))
  expect(new Set(seen.map((rows) => JSON.stringify(rows))).size).toBe(1)
  expect(await left()).toEqual(USED)
  const timeline = (await look())[0]?.timeline
  const detail = { codes: 1, links: 1, pushed_requests: 1 }
  expect(await audited()).toEqual([{ actor: 'server', subject: String(timeline), detail }])
  // What is made from now on is made on this one.
  await sql(`delete from authorization_codes; delete from pushed_requests; delete from account_links`)
  await things()
  await look()
  expect(await left()).toEqual(ALL)
})

it('R-24 nobody uses a connection before it is done', async () => {
  await look()
  await things()
  await sql('update primary_met set timeline = timeline - 1')
  const holder = await database.pool({ max: 1 }).connect()
  await holder.query('begin; select from primary_met for update')
  const codes = open().db.selectFrom('authorization_codes').select('id_hash').where('consumed_at', 'is', null).execute()
  const first = await Promise.race([
    codes.then(() => 'used'),
    new Promise((resolve) => setTimeout(resolve, 300, 'waits')),
  ])
  expect(first).toBe('waits')
  await holder.query('commit')
  holder.release()
  expect(await codes).toEqual([])
})

it('R-24 an assertion or proof from before is not taken any more; what is made afterwards is, once', async () => {
  const { db } = open()
  const replays = createReplays({ unit: createUnitOfWork(db) })
  const expiresAt = new Date(Date.now() + 300_000)
  const at = (seconds: number) => ({ madeAt: new Date(Date.now() + seconds * 1000), expiresAt })
  expect(await replays.firstUse('shop', 'early', at(-200))).toBe(true)
  const before = at(-1)
  await sql('update primary_met set timeline = timeline - 1')
  await look()
  expect(await replays.firstUse('shop', 'lost', before)).toBe(false)
  expect(await replays.firstUse('shop', 'new', at(1))).toBe(true)
  expect(await replays.firstUse('shop', 'new', at(1))).toBe(false)
})

it('tables that are not there yet keep nobody out, and are filled once they are', async () => {
  const process = open()
  await migrateDown(process.db)
  await migrateToLatest(open().db, '0.1.0')
  expect(await look(open())).toHaveLength(1)
})
