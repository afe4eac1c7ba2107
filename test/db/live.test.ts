// How a process hears that what it keeps is old: by a notification, by the heartbeat when that is lost, and by knowing that it
// can no longer know.
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type pg from 'pg'
import type { Connection } from '../../src/db/connect.ts'
import { type Live, STALE_AFTER, startLive, type Topic } from '../../src/db/live.ts'
import { createPrimaryWatch } from '../../src/db/primary.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'
import { until } from '../helpers/until.ts'

let database: TestDatabase
let pool: pg.Pool
let slow: SlowDatabase | undefined
const started: Live[] = []

beforeEach(async () => {
  database = await createTestDatabase()
  pool = database.pool()
})
afterEach(async () => {
  await Promise.all(started.splice(0).map((live) => live.stop()))
  await slow?.close()
  slow = undefined
  await database.drop()
})

/** In a time that stands still nothing grows old: a topic loses its version only by what is heard. */
const STILL = () => 0

function start({ connection = database.connection as Connection, clock = () => performance.now() } = {}) {
  const errors: string[] = []
  let beats = 0
  const live = startLive({
    connection,
    primary: createPrimaryWatch(),
    clock,
    heard: () => {
      beats += 1
    },
    report: (error, what) => errors.push(`${what}: ${error.message}`),
  })
  started.push(live)
  return { live, errors, beats: () => beats }
}

/**
 * Looks at every turn of the event loop, so that no moment without a version is missed.
 * @throws Error when there is none for 15 seconds
 */
async function loses(topic: Topic, live: Live): Promise<void> {
  const since = performance.now()
  while (live.version(topic) !== undefined) {
    if (performance.now() - since > 15_000) throw new Error(`nothing was heard of ${topic}`)
    await turn()
  }
}

async function known(topic: Topic, live: Live): Promise<string> {
  await until(() => live.version(topic) !== undefined)
  return live.version(topic)!
}

/** @returns what the database counted: also the same when the connection had to be made anew */
const counted = (version: string) => version.slice(version.indexOf('.'))

const addClient = (id: string, on: { query(text: string): Promise<unknown> } = pool) =>
  on.query(`insert into clients (id, name, kind, auth_method, first_party, redirect_uris, post_logout_redirect_uris,
    response_modes, refresh, scopes, serves, created_at, updated_at)
    values ('${id}', 'One', 'service', 'client_secret_basic', false, '{}', '{}', '{}', 'none', '{}', '{}', now(), now())`)
const addSecret = (client: string) =>
  pool.query(`insert into client_secrets (id, client_id, hash, created_at)
    values (gen_random_uuid(), '${client}', '\\x00', now())`)

it('every writer makes its topic old, and no other', async () => {
  const { live } = start({ clock: STILL })
  const changes: [string, Topic, () => Promise<unknown>][] = [
    ['insert', 'clients', () => addClient('one')],
    ['update', 'clients', () => pool.query("update clients set name = 'Two'")],
    ['a secret', 'clients', () => addSecret('one')],
    ['an end of a secret', 'clients', () => pool.query('update client_secrets set expires_at = now()')],
    ['delete', 'clients', () => pool.query('delete from clients')],
    ['truncate', 'clients', () => pool.query('truncate clients cascade')],
    [
      'a resource',
      'resources',
      () =>
        pool.query(
          `insert into resources values ('https://a.example.com', 'A', 'jwt', 'ES256', 60, '[]', now(), now())`,
        ),
    ],
    ['the ring', 'key-ring', () => pool.query("insert into key_ring values (1, '\\x00', now())")],
    ['a truncated ring', 'key-ring', () => pool.query('truncate key_ring')],
    ['signing keys', 'signing-keys', () => pool.query('truncate signing_keys')],
  ]
  for (const [what, topic, change] of changes) {
    const others = (['clients', 'resources', 'signing-keys', 'key-ring'] as const).filter((other) => other !== topic)
    const before = await known(topic, live)
    const rest = await Promise.all(others.map((other) => known(other, live)))
    // A heartbeat that finds another version puts it in the place of the old one; who is told has none until it was read.
    const told = loses(topic, live)
    await change()
    await told
    expect([what, counted(await known(topic, live))]).not.toEqual([what, counted(before)])
    const then = await Promise.all(others.map((other) => known(other, live)))
    expect([what, ...then.map(counted)]).toEqual([what, ...rest.map(counted)])
  }
})

it('a statement that changes nothing, and what is only noted about a secret, make nothing old', async () => {
  await addClient('one')
  await addSecret('one')
  await pool.query('alter table client_secrets add column if not exists last_used_at timestamptz')
  const { live, beats } = start()
  const before = await known('clients', live)
  await pool.query('update client_secrets set last_used_at = now()')
  await pool.query("update clients set name = name where id = 'one'")
  await pool.query("delete from clients where id = 'nobody'")
  const next = beats() + 2 // one may be under way
  await until(() => beats() >= next)
  expect(counted(await known('clients', live))).toBe(counted(before))
})

it('a lost notification is found out by the heartbeat, within the bound', async () => {
  const { live } = start()
  // Counts on, but tells nobody: what a listener sees whose notification was lost.
  const { rows } = await pool.query<{ source: string }>(
    "select pg_get_functiondef('versions_bump(text)'::regprocedure) as source",
  )
  await pool.query(rows[0]!.source.replace("perform pg_notify('gatehouse', changed);", ''))
  for (let round = 0; round < 3; round += 1) {
    const before = await known('clients', live)
    await addClient(`client-${round}`)
    await until(() => live.version('clients') !== before, { within: STALE_AFTER })
  }
})

it('a connection that is cut has no version at once, and comes back with another one', async () => {
  const { live, errors } = start({ clock: STILL })
  const before = await known('clients', live)
  const heard: string[] = []
  live.onChange('clients', () => void heard.push('clients'))
  const lost = loses('clients', live)
  await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'gatehouse live'`)
  await lost
  expect(await known('clients', live)).not.toBe(before)
  expect(heard).toEqual(['clients'])
  expect(errors).toEqual([expect.stringMatching(/^connection: /)])
})

it('a connection that dies in silence vouches for nothing after the bound', async () => {
  slow = await slowDown(database.connection, 0)
  const { live } = start({ connection: slow.url })
  const before = await known('clients', live)
  slow.blackHole()
  const since = performance.now()
  await addClient('one')
  await until(() => live.version('clients') === undefined, { within: STALE_AFTER, since })
  await sleep(1500) // a try that hangs, too
  expect(live.version('clients')).toBeUndefined()
  await slow.resume()
  expect(await known('clients', live)).not.toBe(before)
})

it('what this process changed itself has no version until it was read again', async () => {
  const { live } = start()
  const before = await known('clients', live)
  await addClient('one')
  live.touch('clients')
  expect(live.version('clients')).toBeUndefined()
  expect(await known('clients', live)).not.toBe(before)
})

it('a listener hears of the first reading and of each change, and one that throws harms nobody', async () => {
  const { live, errors } = start()
  const heard: string[] = []
  live.onChange('resources', () => {
    throw new Error('listener')
  })
  const end = live.onChange('resources', () => void heard.push('resources'))
  live.onChange('clients', () => void heard.push('clients'))
  await until(() => heard.length === 2)
  await pool.query(
    `insert into resources values ('https://a.example.com', 'A', 'jwt', 'ES256', 60, '[]', now(), now())`,
  )
  await until(() => heard.length === 3)
  expect([heard.sort(), errors]).toEqual([
    ['clients', 'resources', 'resources'],
    ['listener: listener', 'listener: listener'],
  ])
  end()
  await addClient('one')
  await until(() => heard.length === 4)
  expect(heard.at(-1)).toBe('clients')
})

it('stop waits for what a listener does, and nobody is called after it', async () => {
  const { live } = start()
  const heard: string[] = []
  live.onChange('clients', async () => {
    heard.push('begun')
    await sleep(100)
    heard.push('done')
  })
  await until(() => heard.length === 1)
  await addClient('one')
  await live.stop()
  expect(heard.slice(-1)).toEqual(['done'])
  const calls = heard.length
  await sleep(200)
  expect(heard).toHaveLength(calls)
})

it('writers of different rows do not wait for each other, whatever their order', async () => {
  await addClient('one')
  await addClient('two')
  const [a, b] = [await pool.connect(), await pool.connect()]
  try {
    const { live } = start()
    const before = await known('clients', live)
    for (const client of [a, b]) await client.query("begin; set local lock_timeout = '2s'")
    await a.query("update clients set name = 'A' where id = 'one'")
    await b.query("select from clients where id = 'two' for update")
    await b.query("update clients set name = 'B' where id = 'two'")
    await b.query("update clients set name = 'C' where id = 'two'; commit")
    await until(() => live.version('clients') !== before)
    const between = await known('clients', live)
    await a.query("update clients set name = 'A' where id = 'two'; commit")
    await until(() => live.version('clients') !== between)
  } finally {
    for (const client of [a, b]) client.release(true)
  }
})
