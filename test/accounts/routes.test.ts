// The pages behind one-time links, over a listening server: used once, by one, for what they were made for.
import { load } from 'cheerio'
import { createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, obtainTokens, pkce } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

const NEW_PASSWORD = 'seven quiet herons on the pier'

let server: TestServer
let slow: SlowDatabase
/** the same installation with 10 ms on each statement's way to the database */
let slowServer: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  slow = await slowDown(server.database.connection, 10)
  slowServer = await startTestServer({ database: server.database, env: { DATABASE_URL: slow.url } })
  // A cold pool lets one request finish before the next has a connection.
  await Promise.all(Array.from({ length: 30 }, () => fetch(`${slowServer.issuer}/set-password?token=x`)))
})
afterAll(async () => {
  await slowServer?.stop()
  await slow?.close()
  await server?.stop()
})

const rooms = () => server.rooms.accounts
const setPasswordPath = async (id: string) =>
  `/set-password?token=${(await rooms().makeSetPasswordLink(id, 'operator')).token}`
const adminPath = async () => `/admin/setup?token=${(await rooms().makeAdminLink('operator')).token}`

/** Opens a link in a fresh browser. */
async function open(path: string, at: TestServer = server) {
  const browser = createBrowser(at.issuer)
  return { browser, page: await browser.open(`${at.issuer}${path}`) }
}

/** Presses the button of pages behind these links at once, in turn, once for each form. */
async function pressAtOnce(paths: readonly string[], button: string, forms: readonly Record<string, string>[]) {
  const opened = await Promise.all(paths.map((path) => open(path, slowServer)))
  expect(opened.map(({ page }) => page.status)).toEqual(paths.map(() => 200))
  return Promise.all(
    forms.map((form, index) => {
      const { browser, page } = opened[index % opened.length]!
      return browser.press(page, button, form)
    }),
  )
}

const statuses = (pages: readonly Page[]) => pages.map(({ status }) => status).sort((a, b) => a - b)
const text = (page: Page) => load(page.html)('main').text()

async function setPassword(path: string, password: string): Promise<Page> {
  const { browser, page } = await open(path)
  return browser.press(page, 'set-password', { password })
}

it('R-07 S-166 a set-password link pressed 50 times at once sets one password', async () => {
  const id = await server.addPerson('many@example.com')
  const forms = Array.from({ length: 50 }, (_, index) => ({ password: `${NEW_PASSWORD} ${index}` }))
  const pages = await pressAtOnce([await setPasswordPath(id)], 'set-password', forms)
  expect(statuses(pages)).toEqual([200, ...Array(49).fill(410)])
  const winner = pages.findIndex(({ status }) => status === 200)
  expect(await rooms().authenticate('many@example.com', forms[winner]!.password)).toMatchObject({ ok: true })
  expect(await rooms().authenticate('many@example.com', forms[(winner + 1) % 50]!.password)).toMatchObject({
    ok: false,
  })
  const set = await server.database
    .pool()
    .query(`select from audit_entries where kind = 'account.password-set' and actor = $1`, [id])
  expect(set.rows).toHaveLength(1)
})

it('S-170 looking uses nothing up: GET three times and HEAD, then POST', async () => {
  const path = await setPasswordPath(await server.addPerson('scanned@example.com'))
  for (const method of ['GET', 'HEAD', 'GET', 'GET']) {
    const answer = await fetch(server.issuer + path, { method })
    expect([answer.status, answer.headers.get('referrer-policy')]).toEqual([200, 'no-referrer'])
    expect(answer.headers.get('cache-control')).toBe('no-store')
  }
  const { page } = await open(path)
  const loaded = load(page.html)('[src], link[href]').toArray()
  expect(loaded.map((one) => one.attribs.src ?? one.attribs.href).filter((url) => !url!.startsWith('/'))).toEqual([])
  expect((await setPassword(path, NEW_PASSWORD)).status).toBe(200)
  expect((await open(path)).page.status).toBe(410)
})

it('S-166 a newer link, a sign-in and a new password each end an older link; so does time', async () => {
  const id = await server.addPerson('links@example.com')
  const first = await setPasswordPath(id)
  const second = await setPasswordPath(id)
  expect((await open(first)).page.status).toBe(410)
  expect((await open(second)).page.status).toBe(200)
  expect(await rooms().authenticate('links@example.com', PASSWORD)).toMatchObject({ ok: true })
  expect((await open(second)).page.status).toBe(410)
  const third = await setPasswordPath(id)
  await rooms().setPassword(id, NEW_PASSWORD, 'operator')
  expect((await open(third)).page.status).toBe(410)
  const fourth = await setPasswordPath(id)
  const { browser, page } = await open(fourth)
  await server.database.pool().query(`update account_links set expires_at = now() where account_id = $1`, [id])
  expect((await browser.press(page, 'set-password', { password: PASSWORD })).status).toBe(410)
})

it('a link is for one purpose', async () => {
  const person = await setPasswordPath(await server.addPerson('purpose@example.com'))
  const admin = await adminPath()
  const token = (path: string) => path.split('=')[1]!
  expect((await open(`/admin/setup?token=${token(person)}`)).page.status).toBe(410)
  expect((await open(`/set-password?token=${token(admin)}`)).page.status).toBe(410)
  const { browser, page } = await open(person)
  const form = new URLSearchParams({ csrf: load(page.html)('[name=csrf]').attr('value')!, token: token(person) })
  for (const [name, value] of Object.entries({ email: 'x@example.com', name: 'X', password: NEW_PASSWORD }))
    form.set(name, value)
  const crossed = await browser.request(`${server.issuer}/admin/setup`, { method: 'POST', body: form })
  expect(crossed.status).toBe(410)
  expect(await rooms().hasAdmin()).toBe(false)
})

it('a form that is refused leaves the link good, says why, and keeps what was typed', async () => {
  const path = await setPasswordPath(await server.addPerson('again@example.com'))
  const { browser, page } = await open(path)
  const refused = await browser.press(page, 'set-password', { password: 'too short' })
  expect([refused.status, text(refused)]).toEqual([422, expect.stringContaining('at least 15')])
  const guessable = await browser.press(refused, 'set-password', { password: 'passwordpassword' })
  expect(text(guessable)).toContain('easy to guess')
  expect(guessable.html).not.toContain('passwordpassword')
  expect((await browser.press(guessable, 'set-password', { password: NEW_PASSWORD })).status).toBe(200)
})

it('S-164 a form from elsewhere sets no password', async () => {
  const id = await server.addPerson('csrf@example.com')
  const path = await setPasswordPath(id)
  const { browser, page } = await open(path)
  const token = path.split('=')[1]!
  const csrf = load(page.html)('[name=csrf]').attr('value')!
  const send = (fields: Record<string, string>, headers: Record<string, string> = {}, by = browser) =>
    by.request(`${server.issuer}/set-password`, { method: 'POST', body: new URLSearchParams(fields), headers })
  const good = { token, csrf, password: NEW_PASSWORD }
  expect((await send({ ...good, csrf: '' })).status).toBe(403)
  expect((await send(good, { origin: 'https://evil.example' })).status).toBe(403)
  expect((await send(good, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  expect((await send(good, {}, createBrowser(server.issuer))).status).toBe(403)
  expect((await send(good)).status).toBe(200)
})

it('a new password signs every device out: sessions, refresh tokens and access tokens', async () => {
  const { browser, body } = await obtainTokens(
    server,
    { id: 'shop', secret: cast.shop },
    { scope: 'openid things:read' },
  )
  const path = await setPasswordPath(cast.ada)
  expect(text(await setPassword(path, NEW_PASSWORD))).toContain('signed out')
  const userinfo = await fetch(`${server.issuer}/userinfo`, {
    headers: { authorization: `Bearer ${body.access_token}` },
  })
  expect(userinfo.status).toBe(401)
  const { cookies } = browser.jar.serializeSync()!
  expect(cookies.some(({ key }) => key === 'gatehouse-session')).toBe(true)
  const again = await browser.open(
    `${server.issuer}/authorize?client_id=spa&response_type=code&scope=openid&prompt=none&redirect_uri=${encodeURIComponent('http://localhost:9/callback')}&code_challenge=${'x'.repeat(43)}&code_challenge_method=S256`,
  )
  expect(again.url.searchParams.get('error')).toBe('login_required')
})

it('a sign-in that was on its way when the password changed comes to nothing', async () => {
  const email = 'overtaken@example.com'
  const id = await server.addPerson(email)
  const browser = createBrowser(server.issuer)
  const page = await browser.open(authorizeUrl(server, 'spa', pkce().challenge))
  const csrf = load(page.html)('[name=csrf]').attr('value')!
  const body = new URLSearchParams({ csrf, email, password: PASSWORD, action: 'sign-in' })
  const signedIn = await browser.request(page.url, { method: 'POST', body })
  expect(signedIn.status).toBe(303)
  await rooms().setPassword(id, NEW_PASSWORD, 'operator')
  const end = await browser.open(signedIn.headers.get('location')!)
  expect([end.left, end.html.includes('This page is too old')]).toEqual([false, true])
})

describe('S-178 the first administrator', () => {
  const person = (index: number) => ({
    email: `admin-${index}@example.com`,
    name: `Admin ${index}`,
    password: NEW_PASSWORD,
  })

  it('an address that is taken leaves the link good', async () => {
    const { browser, page } = await open(await adminPath())
    const taken = await browser.press(page, 'create', { ...person(0), email: 'ADA@example.com' })
    expect([taken.status, text(taken)]).toEqual([422, expect.stringContaining('here already')])
    expect((await open(page.url.pathname + page.url.search)).page.status).toBe(200)
    expect(await rooms().hasAdmin()).toBe(false)
  })

  it('names and addresses are checked, each fault at its field', async () => {
    const { browser, page } = await open(await adminPath())
    const wrong = { email: 'not an address', name: 'x'.repeat(101), password: 'admin' }
    const refused = await browser.press(page, 'create', wrong)
    const $ = load(refused.html)
    expect(refused.status).toBe(422)
    for (const field of ['email', 'name', 'password']) expect($(`#${field}-error`).text()).not.toBe('')
    expect([$('#email').val(), $('#password').val()]).toEqual(['not an address', undefined])
  })

  it('is made once, of 12 set-ups at once with two links, and then every link is dead', async () => {
    const first = await adminPath()
    // A second link, as a process makes it that starts at the same moment.
    const token = 'T'.repeat(43)
    const second = `/admin/setup?token=${token}`
    await server.database.pool().query(
      `insert into account_links (token_hash, purpose, expires_at, created_at)
        values ($1, 'admin-setup', now() + interval '1 hour', now())`,
      [server.rooms.ring.keyedHash('account-link', token)],
    )
    const forms = Array.from({ length: 12 }, (_, index) => person(index))
    const pages = await pressAtOnce([first, second], 'create', forms)
    expect(statuses(pages)).toEqual([200, ...Array(11).fill(410)])
    const admins = (await rooms().list()).filter(({ role }) => role === 'admin')
    expect(admins).toHaveLength(1)
    for (const path of [first, second]) expect((await open(path)).page.status).toBe(410)
    expect(await rooms().authenticate(admins[0]!.email, NEW_PASSWORD)).toMatchObject({ ok: true })
    await expect(rooms().makeAdminLink('operator')).rejects.toThrow('There is an administrator already')
  })
})
