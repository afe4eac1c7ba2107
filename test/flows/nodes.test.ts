// Several processes on one database, workers of one port among them: what is changed at one, at another or with psql is known to all within a second, also when
// its notification is lost, and at once where nobody listens any more.
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { basic } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'
import { until } from '../helpers/until.ts'

let home: TestServer
let secret: string
let proxy: SlowDatabase
let pool: pg.Pool
let host: string
const nodes: ServerProcess[] = []

beforeAll(async () => {
  home = await startTestServer()
  secret = (await addCast(home)).billing
  proxy = await slowDown(home.database.connection, 0)
  pool = home.database.pool()
  host = `localhost:${await freePort()}` // one address for all, as behind a load balancer
  const settings = { GATEHOUSE_SECRET: TEST_SECRET, GATEHOUSE_ISSUER: `http://${host}`, LOG_LEVEL: 'error' }
  for (const [DATABASE_URL, WORKERS] of [
    [home.database.url, '2'],
    [proxy.url, '1'],
  ] as const)
    nodes.push(await startProcess({ ...settings, DATABASE_URL, WORKERS, PORT: String(await freePort()) }))
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
  await proxy?.close()
  await home?.stop()
})

// A connection of its own each time: they are dealt out to the workers in turn.
const askOnce = async ({ port }: ServerProcess) => {
  const form = { grant_type: 'client_credentials' }
  return (await send(port, '/token', { form, headers: { ...basic('billing', secret), host, connection: 'close' } }))
    .status
}
/** @returns what all workers of a node answer, or their answers when they differ */
const ask = async (node: ServerProcess) => {
  const answers = new Set(await Promise.all([askOnce(node), askOnce(node), askOnce(node), askOnce(node)]))
  return answers.size === 1 ? [...answers][0]! : [...answers].join()
}

const all = (status: number, within?: number) =>
  until(async () => (await Promise.all(nodes.map(ask))).every((one) => one === status), {
    within,
    what: `all nodes answer ${status}`,
  })
/** @throws Error when somebody who asks a second later is not answered so everywhere */
const soon = (status: number) => all(status, 1000)

/** By somebody who knows nothing of us. */
const disable = (on: boolean) =>
  pool.query(`update clients set disabled_at = ${on ? 'now()' : 'null'} where id = 'billing'`)

it('a client that is disabled and a secret that was rotated are refused by all nodes within a second', async () => {
  await all(200)
  await home.rooms.clients.disable('billing', 'operator')
  await soon(401)
  await home.rooms.clients.enable('billing', 'operator')
  await soon(200)
  const rotated = await home.rooms.clients.rotateSecret('billing', 'operator')
  await soon(401)
  if (rotated.ok) secret = rotated.secret
  await soon(200)
  await disable(true)
  await soon(401)
  await disable(false)
  await all(200)
})

it('at once where the connection that listens is gone', async () => {
  const listening = async () => {
    const { rows } = await pool.query<{ pid: number }>(`select pid from pg_stat_activity
      where datname = current_database() and application_name = 'gatehouse live'`)
    return rows.map(({ pid }) => pid)
  }
  for (let proven = 0; proven < 5; ) {
    const pids = await until(async () => {
      const found = await listening()
      return found.length === 4 && found // one of each worker, and that of this process
    })
    await all(200)
    const begun = performance.now()
    await pool.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [pids])
    await until(async () => !(await listening()).some((pid) => pids.includes(pid)), { every: 1 })
    await sleep(5) // until the nodes have read that it was closed
    await disable(true)
    // They listen anew after 50 ms: from then on they may be told of it, a moment later.
    const nobodyListened = performance.now() - begun < 40
    const answers = await Promise.all(nodes.map(ask))
    await disable(false)
    if (!nobodyListened) continue
    expect(answers).toEqual([401, 401])
    proven += 1
  }
})

it('a node that hears nothing from its database any more answers nothing from memory after a second', async () => {
  const [, far] = nodes
  await sleep(500) // its listener is back
  await all(200)
  proxy.blackHole()
  try {
    await disable(true)
    await sleep(1000)
    const answers = await Promise.race([Promise.all([ask(far!), ask(far!), ask(far!)]), sleep(1000, [])])
    expect(answers.filter((status) => status === 200)).toEqual([])
  } finally {
    await proxy.resume()
    await disable(false)
  }
  await all(200)
})

it('within a second when the notification is lost', async () => {
  const { rows } = await pool.query<{ source: string }>(
    "select pg_get_functiondef('versions_bump(text)'::regprocedure) as source",
  )
  await pool.query(rows[0]!.source.replace("perform pg_notify('gatehouse', changed);", ''))
  await all(200)
  await disable(true)
  await soon(401)
  await disable(false)
  await soon(200)
})
