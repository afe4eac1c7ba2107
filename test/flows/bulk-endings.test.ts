// Much hangs on one person or one client: it ends at once, and its rows leave in the background.
import { type Connected, connect } from '../../src/db/connect.ts'
import { type SweepOutcome, startSweeper } from '../../src/db/sweeper.ts'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainTokens, passPages, pkce, post, refresh } from '../helpers/flow.ts'
import { multiply } from '../helpers/multiply.ts'
import { addCast, addMachine, startTestServer, type TestServer } from '../helpers/server.ts'

const PERSONS_TOKENS = 10_000
const CLIENTS_TOKENS = 100_000
const SESSIONS = 30_000

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let machine: { id: string; secret: string }
let connected: Connected

beforeAll(async () => {
  server = await startTestServer()
  connected = connect(server.database.connection, { max: 2 })
  cast = await addCast(server)
  machine = await addMachine(server)
})
afterAll(async () => {
  await connected?.close()
  await server?.stop()
})

const spa = { id: 'spa' }
const count = async (table: string) =>
  (await connected.pool.query(`select count(*)::int as n from ${table}`)).rows[0].n as number
const active = async (token: string) =>
  (await introspect(server, { id: 'orders-api', secret: cast.api }, token)).active === true

/** Sweeps as if a while had passed. */
async function sweepLater(): Promise<void> {
  const outcomes: SweepOutcome[] = []
  const now = () => new Date(Date.now() + 100_000)
  const sweeper = startSweeper({ db: connected.db, now, report: (outcome) => void outcomes.push(outcome) }, 0)
  await sweeper.sweep()
  expect(outcomes.filter((outcome) => 'error' in outcome)).toEqual([])
  expect(sweeper.lag().ended_epochs).toBe(0)
}

/** The token is refused as soon as the ending has been told, before any row has gone. */
async function refusedAtOnce(token: string, end: () => Promise<unknown>): Promise<void> {
  const rows = await count('access_tokens')
  expect(await active(token)).toBe(true)
  await end()
  expect(await active(token)).toBe(false)
  expect(await count('access_tokens')).toBe(rows)
}

it('R-43 one person with 10,000 tokens', async () => {
  const { body } = await obtainTokens(server, spa, { scope: 'openid things:read' })
  await multiply(connected.pool, { table: 'access_tokens', key: 'id_hash', many: PERSONS_TOKENS })
  await multiply(connected.pool, { table: 'refresh_families', key: 'family_hash', many: PERSONS_TOKENS / 10 })
  await multiply(connected.pool, { table: 'grants', key: 'id_hash', many: PERSONS_TOKENS / 10 })
  await server.addPerson('bea@example.com')
  const browser = createBrowser(server.issuer)
  await passPages(browser, await browser.open(authorizeUrl(server, spa.id, pkce().challenge)), 'bea@example.com')
  const others = await obtainTokens(server, spa, { scope: 'openid things:read' }, browser)

  await refusedAtOnce(body.access_token, () => server.rooms.accounts.disable(cast.ada, 'operator'))
  await sweepLater()
  expect([await count('access_tokens'), await count('refresh_families'), await count('grants')]).toEqual([1, 1, 1])
  expect(await active(others.body.access_token)).toBe(true)
  expect((await refresh(server, spa, others.body.refresh_token)).status).toBe(200)
  expect(await count('ended_epochs')).toBe(0)
}, 60_000)

it('S-186, R-43 one person with 30,000 sessions: more than PostgreSQL has locks for', async () => {
  const id = await server.addPerson('many@example.com')
  const signedIn = async (email: string) => {
    const browser = createBrowser(server.issuer)
    await passPages(browser, await browser.open(authorizeUrl(server, spa.id, pkce().challenge)), email)
    return async () => (await browser.open(authorizeUrl(server, spa.id, pkce().challenge))).html.includes('"password"')
  }
  const asked = await signedIn('many@example.com')
  const askedOther = await signedIn('bea@example.com')
  await multiply(connected.pool, { table: 'sessions', key: 'id_hash', many: SESSIONS, where: `account_id = '${id}'` })
  await connected.pool.query(`update sessions set uid = uid || encode(id_hash, 'hex') where account_id = $1`, [id])
  const all = await count('sessions')

  const begun = performance.now()
  expect(await server.rooms.accounts.disable(id, 'operator')).toBe(true)
  expect(performance.now() - begun).toBeLessThan(1000)
  // It takes no longer for many: none of their rows is touched.
  expect(await count('sessions')).toBe(all)
  expect([await asked(), await askedOther()]).toEqual([true, false])
  await sweepLater()
  expect(await connected.pool.query('select from sessions where account_id = $1', [id])).toHaveProperty('rowCount', 0)
  expect(await count('sessions')).toBeGreaterThanOrEqual(all - SESSIONS - 1)
}, 60_000)

it('R-43 one client with 100,000 tokens', async () => {
  const ask = () => post(server, '/token', { grant_type: 'client_credentials', scope: 'things:read' }, machine)
  const { body } = await ask()
  await multiply(connected.pool, {
    table: 'access_tokens',
    key: 'id_hash',
    many: CLIENTS_TOKENS,
    where: 'client_epoch is not null',
  })
  const rest = (await count('access_tokens')) - CLIENTS_TOKENS - 1

  await refusedAtOnce(body.access_token, () => server.rooms.clients.disable('machine', 'operator'))
  await server.rooms.clients.enable('machine', 'operator')
  const after = await ask()
  await sweepLater()
  expect(await count('access_tokens')).toBe(rest + 1)
  expect(await active(after.body.access_token)).toBe(true)
}, 60_000)
