// Buttons that are pressed twenty times at once, over a slow database, do their work once; two tabs at once lose nothing.
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, introspect, pkce, redeem, refresh } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'
import { untilBlocked } from '../helpers/until.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }

/** has the cast, and the database as it is */
let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let slow: SlowDatabase
/** the same installation with 10 ms on the way of each statement */
let server: TestServer

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  slow = await slowDown(home.database.connection, 10)
  // Twenty presses at once are no guesses: the limits of the test profile.
  server = await startTestServer({
    database: home.database,
    env: { DATABASE_URL: slow.url, GATEHOUSE_PROFILE: 'test' },
  })
  // A cold pool lets one request finish before the next has a connection, and hides every race.
  const junk = `${server.issuer}/set-password?token=${'x'.repeat(43)}`
  await Promise.all(Array.from({ length: 30 }, () => fetch(junk)))
})
afterAll(async () => {
  await server?.stop()
  await slow?.close()
  await home?.stop()
})

const rows = async (query: string, values: unknown[] = []) => (await home.database.pool().query(query, values)).rows
const codes = async () => (await rows(`select from authorization_codes`)).length
const twenty = (press: () => Promise<Page>) => Promise.all(Array.from({ length: 20 }, press))
const isDone = (page: Page) => page.left && page.url.searchParams.has('code')
const open = (browser: Browser, client: string, scope = 'openid', challenge = pkce().challenge) =>
  browser.open(authorizeUrl(server, client, challenge, { scope }))

async function signedIn(): Promise<Browser> {
  const browser = createBrowser(server.issuer)
  expect(isDone(await browser.press(await open(browser, 'spa'), 'sign-in', ADA))).toBe(true)
  return browser
}

it('R-04 S-190 “Allow access” makes one grant and one code', async () => {
  await home.addClient({ id: 'eager' })
  const browser = await signedIn()
  const page = await open(browser, 'eager', 'openid orders:read')
  const before = await codes()
  const pages = await twenty(() => browser.press(page, 'allow'))
  expect(pages.filter(isDone)).toHaveLength(1)
  expect(pages.filter(({ left, status }) => !left && status === 400)).toHaveLength(19)
  expect(await rows(`select from grants where client_id = 'eager'`)).toHaveLength(1)
  expect((await codes()) - before).toBe(1)
  expect(await rows(`select from audit_entries where kind = 'consent.given' and subject = 'eager'`)).toHaveLength(1)
  // The page that was answered is over, for late presses too.
  expect((await browser.press(page, 'allow')).html).toContain('This page is too old')
  expect(await rows(`select from grants where client_id = 'eager'`)).toHaveLength(1)
})

it('R-04 “Sign in” makes one session and one code', async () => {
  const browser = createBrowser(server.issuer)
  const page = await open(browser, 'spa')
  const sessions = async () => (await rows(`select from sessions where account_id = $1`, [cast.ada])).length
  const before = [await sessions(), await codes()]
  const pages = await twenty(() => browser.press(page, 'sign-in', ADA))
  expect(pages.filter(isDone)).toHaveLength(1)
  expect(pages.filter(({ left, status }) => !left && status === 400)).toHaveLength(19)
  expect([await sessions(), await codes()]).toEqual(before.map((count) => count + 1))
})

it.each([
  ['sign-in', createBrowser],
  ['allow', signedIn],
  ['deny', signedIn],
])(
  'a press that comes just after another has gone on to its code does not bring the page back: %s',
  async (button, start) => {
    const id = `late-${button}`
    await home.addClient({ id })
    const browser = await start(server.issuer)
    const page = await open(browser, id)
    const row = home.rooms.ring.handle('interaction', page.url.pathname.split('/')[2]!)
    const another = await home.database.pool().connect()
    await another.query('begin')
    await another.query('select from interactions where id_hash = $1 for update', [row])
    const pressed = browser.press(page, button, ADA)
    await untilBlocked(home.database.pool({ max: 1 }), 1)
    await another.query('delete from interactions where id_hash = $1', [row])
    await another.query('commit')
    another.release()
    const answer = await pressed
    expect([answer.left, answer.html.includes('This page is too old')]).toEqual([false, true])
    expect(await rows('select from interactions where id_hash = $1', [row])).toEqual([])
    expect(await rows('select from grants where client_id = $1', [id])).toEqual([])
  },
)

it.each([
  ['apps of our own, silently', true],
  ['apps of others, with consent', false],
])(
  'two apps for the first time in two tabs at once (%s): both get tokens, a sign-out ends both',
  async (_how, firstParty) => {
    for (let pair = 0; pair < 2; pair++) {
      const browser = await signedIn()
      const apps = await Promise.all(
        ['left', 'right'].map(async (side) => {
          const id = `${side}-${firstParty}-${pair}`
          return { id, secret: await home.addClient({ id, firstParty }), ...pkce() }
        }),
      )
      const pages = await Promise.all(
        apps.map(({ id, challenge }) => open(browser, id, 'openid orders:read', challenge)),
      )
      const done = firstParty ? pages : await Promise.all(pages.map((page) => browser.press(page, 'allow')))
      expect(done.map(isDone)).toEqual([true, true])
      const tokens = await Promise.all(
        apps.map((app, index) =>
          redeem(server, app, { code: done[index]!.url.searchParams.get('code')!, verifier: app.verifier }),
        ),
      )
      expect(tokens.map(({ status, body }) => [status, body.error])).toEqual(Array(2).fill([200, undefined]))
      await browser.press(await browser.open(`${server.issuer}/logout`), 'yes')
      for (const [index, { body }] of tokens.entries()) {
        expect((await refresh(server, apps[index]!, body.refresh_token)).body.error).toBe('invalid_grant')
        expect(await introspect(server, apps[index]!, body.access_token)).toEqual({ active: false })
      }
    }
  },
)
