// Several processes on one database, workers of one port among them: what is changed at one, at another or with psql is known to all within a second, also when
// its notification is lost, and at once where nobody listens any more.
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { basic } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

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

/** Asks every node until all answer with `status`. @returns milliseconds that took */
async function until(status: number): Promise<number> {
  const begun = performance.now()
  while (performance.now() - begun < 5000) {
    const answers = await Promise.all(nodes.map(ask))
    if (answers.every((one) => one === status)) return performance.now() - begun
    await sleep(10)
  }
  throw new Error(`some node does not answer ${status}`)
}

/** By somebody who knows nothing of us. */
const disable = (on: boolean) =>
  pool.query(`update clients set disabled_at = ${on ? 'now()' : 'null'} where id = 'billing'`)

it('a client that is disabled and a secret that was rotated are refused by all nodes within a second', async () => {
  await until(200)
  await home.rooms.clients.disable('billing', 'operator')
  expect(await until(401)).toBeLessThan(1000)
  await home.rooms.clients.enable('billing', 'operator')
  expect(await until(200)).toBeLessThan(1000)
  const rotated = await home.rooms.clients.rotateSecret('billing', 'operator')
  expect(await until(401)).toBeLessThan(1000)
  if (rotated.ok) secret = rotated.secret
  expect(await until(200)).toBeLessThan(1000)
  await disable(true)
  expect(await until(401)).toBeLessThan(1000)
  await disable(false)
  await until(200)
})

it('at once where the connection that listens is gone', async () => {
  for (let round = 0; round < 5; round += 1) {
    await until(200)
    await pool.query(`select pg_terminate_backend(pid, 1000) from pg_stat_activity
      where datname = current_database() and application_name = 'gatehouse live'`)
    await sleep(5) // until the nodes have read that it was closed
    await disable(true)
    expect(await Promise.all(nodes.map(ask))).toEqual([401, 401])
    await disable(false)
  }
})

it('a node that hears nothing from its database any more answers nothing from memory after a second', async () => {
  const [, far] = nodes
  await sleep(500) // its listener is back
  await until(200)
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
  await until(200)
})

it('within a second when the notification is lost', async () => {
  const { rows } = await pool.query<{ source: string }>(
    "select pg_get_functiondef('versions_bump(text)'::regprocedure) as source",
  )
  await pool.query(rows[0]!.source.replace("perform pg_notify('gatehouse', changed);", ''))
  await until(200)
  await disable(true)
  expect(await until(401)).toBeLessThan(1000)
  await disable(false)
  expect(await until(200)).toBeLessThan(1000)
})
