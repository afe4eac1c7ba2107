// An ending that cannot be stored is never told to have happened: not to a person who signs out, nor to an operator (SECURITY S-095).
import type { Browser, Page } from '../helpers/browser.ts'
import { type FaultProxy, startFaultProxy } from '../helpers/fault-proxy.ts'
import { authorizeUrl, introspect, obtainTokens, pkce } from '../helpers/flow.ts'
import { runCommand, type ServerProcess, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let way: FaultProxy
let running: ServerProcess
let issuer: string
let browser: Browser
let token: string

beforeAll(async () => {
  const port = await freePort()
  issuer = `http://localhost:${port}`
  home = await startTestServer({ env: { GATEHOUSE_ISSUER: issuer } })
  cast = await addCast(home)
  way = await startFaultProxy(home.database.connection)
  running = await startProcess({ ...settings(), PORT: String(port), LOG_LEVEL: 'error' })
  const got = await obtainTokens({ issuer }, { id: 'shop', secret: cast.shop }, { scope: 'openid things:read' })
  browser = got.browser
  token = got.body.access_token
})
afterAll(async () => {
  await running?.stop()
  await way?.close()
  await home?.stop()
})

const settings = () => ({ DATABASE_URL: way.url, GATEHOUSE_SECRET: TEST_SECRET })
const active = async () => (await introspect({ issuer }, { id: 'orders-api', secret: cast.api }, token)).active
const isSignedIn = async () => {
  const page = await browser.open(authorizeUrl({ issuer }, 'shop', pkce().challenge, { prompt: 'none' }))
  return page.url.searchParams.has('code')
}
const endings = async () =>
  (
    await home.database
      .pool()
      .query("select count(*)::int as n from audit_entries where kind ~ 'revoked|disabled|ended|signed-out'")
  ).rows[0].n

/** What a database does to a write: it is gone before, or in the midst of it. */
const FAULTS: [string, () => unknown, () => unknown][] = [
  ['the database is away', () => way.interrupt(), () => way.resume()],
  ['the line breaks in the midst', () => way.loseNext('insert into "endings"', 'cut'), () => undefined],
]

describe.each(FAULTS)('S-095 %s', (_what, begin, end) => {
  it('a sign-out is a 503, and the person is signed in still', async () => {
    const confirm: Page = await browser.open(`${issuer}/logout`)
    await begin()
    const answer = await browser.press(confirm, 'yes')
    await end()
    expect(answer.status).toBe(503)
    expect(answer.html).not.toMatch(/signed out/i)
    expect([await isSignedIn(), await active()]).toEqual([true, true])
  })

  it.each([
    ['revoke --user', ['revoke', '--user', 'ada@example.com']],
    ['revoke --client', ['revoke', '--client', 'shop']],
    ['client disable', ['client', 'disable', 'shop']],
    ['user disable', ['user', 'disable', 'ada@example.com']],
  ])('%s ends with a fault, and has ended nothing', async (_command, args) => {
    const before = await endings()
    await begin()
    const ran = await runCommand(settings(), args)
    await end()
    expect([ran.code === 0, ran.out]).toEqual([false, ''])
    expect([await endings(), await active(), await isSignedIn()]).toEqual([before, true, true])
  })
})

it('S-095 with the database, they end what they say', async () => {
  expect((await browser.press(await browser.open(`${issuer}/logout`), 'yes')).html).toMatch(/signed out/i)
  expect([await isSignedIn(), await active()]).toEqual([false, false])
})
