// The database goes away and comes back: the server stays, says so, and goes on.
import { type FaultProxy, startFaultProxy } from '../helpers/fault-proxy.ts'
import { basic, obtainTokens } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer, THINGS } from '../helpers/server.ts'
import { until, untilBlocked } from '../helpers/until.ts'

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let way: FaultProxy
let running: ServerProcess
let host: string

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  // Else the server publishes keys while it is asked, and the next commit is not the one that a test means.
  await home.rooms.signingKeys.rotation.step()
  way = await startFaultProxy(home.database.connection)
  const port = await freePort()
  host = `localhost:${port}`
  running = await startProcess({
    PORT: String(port),
    DATABASE_URL: way.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  })
})
afterAll(async () => {
  await running?.stop()
  await way?.close()
  await home?.stop()
})

/** milliseconds within which somebody who asks must get an answer, whatever the database does */
const ANSWER = 2000

const post = async (path: string, form: Record<string, string>, client = basic('shop', cast.shop)) => {
  const begun = performance.now()
  const answer = await send(running.port, path, { form, headers: { ...client, host } })
  return { ...answer, ms: performance.now() - begun }
}
const token = () => post('/token', { grant_type: 'client_credentials', resource: THINGS })
const active = async (token: unknown) =>
  (await post('/introspect', { token: String(token) }, basic('orders-api', cast.api))).body.active
const expectRefused = (answers: Awaited<ReturnType<typeof post>>[], within = ANSWER) => {
  expect(answers.map(({ status, headers }) => [status, headers['retry-after']])).toEqual(answers.map(() => [503, '2']))
  expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(within)
}
const get = (path: string, accept = '*/*') => send(running.port, path, { headers: { host, accept } })
const SIGN_IN =
  '/authorize?client_id=shop&response_type=code&redirect_uri=http%3A%2F%2Flocalhost%3A9%2Fcallback&scope=openid' +
  '&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256'

it('answers 503 with Retry-After while the database is away, keeps its metadata, and recovers by itself', async () => {
  // Several connections, so that idle ones and busy ones break.
  expect((await Promise.all(Array.from({ length: 8 }, token))).map(({ status }) => status)).toEqual(Array(8).fill(200))
  const underway = Array.from({ length: 8 }, token)
  await way.interrupt()
  expect((await Promise.all(underway)).filter(({ status }) => ![200, 503].includes(status))).toEqual([])

  const refused = await token()
  expect([refused.status, refused.body.error, refused.headers['retry-after']]).toEqual([
    503,
    'temporarily_unavailable',
    '2',
  ])
  const page = await get(SIGN_IN, 'text/html')
  expect([page.status, page.headers.location]).toEqual([503, undefined])
  expect(page.text).toContain('Try again in a few seconds')
  expect((await get('/readyz')).status).toBe(503)
  for (const path of ['/healthz', '/jwks', '/.well-known/openid-configuration'])
    expect((await get(path)).status).toBe(200)

  await way.resume()
  expect((await token()).status).toBe(200)
  expect((await get('/readyz')).status).toBe(200)
  expect((await get(SIGN_IN, 'text/html')).status).toBe(303)
})

it('R-28 a black hole: answers within two seconds, red within five, keys and metadata from memory, back at once', async () => {
  expect((await Promise.all(Array.from({ length: 8 }, token))).map(({ status }) => status)).toEqual(Array(8).fill(200))
  way.blackHole()
  const begun = performance.now()
  // More than there are connections: some wait for an answer, the others for a connection.
  expectRefused(await Promise.all(Array.from({ length: 40 }, token)))
  expect((await get('/readyz')).status).toBe(503)
  expect(performance.now() - begun).toBeLessThan(5000)
  const inMemory = performance.now()
  for (const path of ['/healthz', '/jwks', '/.well-known/openid-configuration'])
    expect((await get(path)).status).toBe(200)
  expect(performance.now() - inMemory).toBeLessThan(1500)
  expectRefused([await token()])
  await way.resume()
  expect((await token()).status).toBe(200)
  expect((await get('/readyz')).status).toBe(200)
})

it.each([
  ['answer', true],
  ['request', false],
  ['cut', true],
] as const)('R-22 a commit whose %s is lost is a 503, and whole or absent', async (what, arrives) => {
  const { body } = await token()
  way.loseNext('commit', what)
  expectRefused([await post('/revoke', { token: String(body.access_token) })])
  // A server that read the commit just before the line broke may still be at it.
  await until(async () => (await active(body.access_token)) === !arrives)
  expect((await token()).status).toBe(200)
})

it('S-095 a revocation that cannot be stored is a 503, and the token lives until one can', async () => {
  const { body } = await token()
  await way.interrupt()
  expectRefused([await post('/revoke', { token: String(body.access_token) })])
  await way.resume()
  expect(await active(body.access_token)).toBe(true)
  expect((await post('/revoke', { token: String(body.access_token) })).status).toBe(200)
  expect(await active(body.access_token)).toBe(false)
})

it('R-29 who needs a row that is locked gets a 503; the others do not notice', async () => {
  const { body } = await obtainTokens(home, { id: 'spa' }, { scope: 'openid things:read' })
  const holder = await home.database.pool().connect()
  await holder.query('begin')
  await holder.query('select from refresh_families for update')
  const refresh = () =>
    post('/token', { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: 'spa' }, {} as never)
  try {
    const waiting = [refresh(), refresh(), refresh()]
    await untilBlocked(home.database.pool(), 1)
    const others = await Promise.all([token(), token(), token()])
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(Math.max(...others.map(({ ms }) => ms))).toBeLessThan(1000)
    // One waits for the row; the others wait for that one, and then for the row.
    expectRefused(await Promise.all(waiting), 5000)
  } finally {
    await holder.query('rollback')
    holder.release()
  }
  expect((await refresh()).status).toBe(200)
})
