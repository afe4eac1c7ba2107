// The database is restarted, killed, cut from its standby, and replaced by it, under load and behind a proxy that leads to
// another server as HAProxy would. What was acknowledged is there afterwards, and nobody waits for more than two seconds.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { type FaultProxy, startFaultProxy } from '../helpers/fault-proxy.ts'
import { basic } from '../helpers/flow.ts'
import { checkTokens } from '../helpers/ledger-checks.ts'
import { emptyLedger, type Ledger } from '../helpers/load.ts'
import { type PostgresHost, type PostgresNode, startPostgres } from '../helpers/postgres-node.ts'
import { runCommand, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, THINGS } from '../helpers/server.ts'
import { look, startSteadyLoad } from '../helpers/steady-load.ts'

/** milliseconds until an answer, until a red readiness, until requests are served again */
const ANSWER = 2000
const RED = 5000
const BACK = 5000

let host: PostgresHost
let primary: PostgresNode
let standby: PostgresNode
let way: FaultProxy
let database: TestDatabase
let running: ServerProcess
let issuer: string
let cast: Awaited<ReturnType<typeof addCast>>
const ledger: Ledger = emptyLedger()

beforeAll(async () => {
  host = await startPostgres()
  primary = host.node
  database = await createDatabase(primary.connection)
  way = await startFaultProxy(database.connection)
  const port = await freePort()
  issuer = `http://localhost:${port}`
  const home = await startTestServer({ database, env: { GATEHOUSE_ISSUER: issuer } })
  cast = await addCast(home)
  await home.stop()
  running = await startProcess({
    PORT: String(port),
    GATEHOUSE_ISSUER: issuer,
    DATABASE_URL: way.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  })
}, 60_000)
afterAll(async () => {
  await running?.stop()
  await way?.close()
  await host?.remove()
})

const client = () => ({ id: 'shop', secret: cast.shop })
const headers = () => ({ ...basic('shop', cast.shop), host: new URL(issuer).host })
const post = async (path: string, form: Record<string, string>) => {
  const begun = performance.now()
  const { status, body } = await send(running.port, path, { form, headers: headers() })
  return { status, body, ms: performance.now() - begun }
}
const token = () => post('/token', { grant_type: 'client_credentials', resource: THINGS })
const status = async (path: string) => (await send(running.port, path)).status

async function readiness(wanted: number, within: number): Promise<void> {
  const begun = performance.now()
  while ((await status('/readyz')) !== wanted) {
    if (performance.now() - begun > within) throw new Error(`readiness is not ${wanted} within ${within} ms`)
    await sleep(50)
  }
}

/** Load over `fault`, which resolves when the database is back. */
async function under(fault: () => Promise<void>) {
  const load = startSteadyLoad({ ports: [running.port], issuer, client: client(), ledger, workers: 3, pause: 60 })
  await sleep(700)
  await fault()
  const back = performance.now()
  await sleep(1500)
  await load.stop()
  return look(load.answers, back, ANSWER)
}

const kept = () => checkTokens({ issuer, app: { id: 'spa' }, api: { id: 'orders-api', secret: cast.api } }, ledger)

it.each([
  ['R-22 a fast restart', 'fast'],
  ['R-23 kill -9 and recovery', 'kill'],
] as const)('%s: 503 within two seconds, back within five, nothing acknowledged is lost', async (_what, how) => {
  const seen = await under(async () => {
    await primary.stop(how)
    await sleep(500)
    await primary.start()
  })
  expect(seen.misses).toEqual([])
  expect(seen.refused).toBeGreaterThan(0)
  expect(seen.recovered).toBeLessThan(BACK)
  expect(await kept()).toEqual([])
})

it('R-25 a standby is refused: readiness is red, requests are 503, and nothing is read from it', async () => {
  standby = await primary.makeStandby('two')
  await primary.synchronous(true)
  expect((await token()).status).toBe(200)
  way.switchTo(standby.connection)
  await readiness(503, RED)
  const { status: refused, ms } = await token()
  expect(refused).toBe(503)
  expect(ms).toBeLessThan(ANSWER)
  expect((await post('/introspect', { token: 'x' })).status).toBe(503)
  for (const path of ['/healthz', '/jwks', '/.well-known/openid-configuration'])
    expect((await send(running.port, path, { headers: { host: new URL(issuer).host } })).status).toBe(200)
  // A command says what it is, and what to do.
  const env = { DATABASE_URL: way.url, GATEHOUSE_ISSUER: issuer, GATEHOUSE_SECRET: TEST_SECRET }
  const command = await runCommand(env, ['client', 'list'])
  expect(command).toMatchObject({ code: 1, out: '' })
  expect(command.err).toMatch(
    /it is a standby, and takes no writes\.\nPromote it, or name the primary in DATABASE_URL\./,
  )
  way.switchTo(primary.connection)
  await readiness(200, BACK)
  expect((await token()).status).toBe(200)
})

it('R-24 a primary cut from its synchronous standby acknowledges nothing', async () => {
  await standby.stop('kill')
  const cut = await token()
  expect(cut.status).toBe(503)
  expect(cut.ms).toBeLessThan(ANSWER)
  // No timeout ends the wait in the server: that would be a commit which its standby never got.
  await sleep(2500)
  const waiting = `select pid from pg_stat_activity where wait_event = 'SyncRep' and backend_type = 'client backend'`
  expect((await primary.query(waiting)).length).toBeGreaterThan(0)

  // A person can end it (pg_cancel_backend): PostgreSQL then says COMMIT, with a warning.
  const asked = token()
  await sleep(500)
  await primary.query(`select pg_cancel_backend(pid) from (${waiting}) as waiting`)
  expect((await asked).status).toBe(503)

  await standby.start()
  await primary.synchronous(true)
  await readiness(200, BACK)
  expect((await token()).status).toBe(200)
})

it('R-24 a failover to the synchronous standby loses nothing; R-25 the old primary is refused when it returns', async () => {
  const seen = await under(async () => {
    await primary.stop('kill')
    await standby.promote()
    way.switchTo(standby.connection)
  })
  expect(seen.misses).toEqual([])
  expect(seen.recovered).toBeLessThan(BACK)
  expect(await kept()).toEqual([])
  // What was not used yet is over, as it must be where nobody knows what is lost; that is told once, by whoever came first.
  const promoted = new pg.Client({ ...standby.connection, database: database.connection.database })
  await promoted.connect()
  const { rows } = await promoted.query(`select actor, subject from audit_entries where kind = 'database.promoted'`)
  await promoted.end()
  expect(rows).toEqual([{ actor: 'server', subject: '2' }])

  await primary.start({ synchronous_standby_names: '' })
  way.switchTo(primary.connection)
  await readiness(503, RED)
  expect(await token()).toMatchObject({ status: 503 })
  expect((await post('/introspect', { token: 'x' })).status).toBe(503)
  expect(running.log()).toContain('an old primary')
  way.switchTo(standby.connection)
  await readiness(200, BACK)
  expect((await token()).status).toBe(200)
})
