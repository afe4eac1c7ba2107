// The database goes away and comes back: the server stays, says so, and goes on.
import { basic } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let way: SlowDatabase
let running: ServerProcess
let host: string

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  way = await slowDown(home.database.connection, 0)
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

const token = () =>
  send(running.port, '/token', {
    form: { grant_type: 'client_credentials', resource: 'https://things.example.com' },
    headers: { ...basic('shop', cast.shop), host },
  })
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
