// Signing in: the same for everybody who may not, only from our own page, and as safe as its passwords are kept.
import { jest } from '@jest/globals'
import argon2 from 'argon2'
import { load } from 'cheerio'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, obtainCode, pkce } from '../helpers/flow.ts'
import { addCast, CALLBACK, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  // Many tries in a short time, of which none is a guess: the limits of the test profile.
  server = await startTestServer({ env: { GATEHOUSE_PROFILE: 'test' } })
  cast = await addCast(server)
})
afterAll(() => server.stop())
afterEach(() => jest.restoreAllMocks())

/** @returns the sign-in page of a fresh browser */
async function signInPage(client = 'spa', browser: Browser = createBrowser(server.issuer)) {
  return { browser, page: await browser.open(authorizeUrl(server, client, pkce().challenge)) }
}

async function signIn(email: string, password: string): Promise<Page> {
  const { browser, page } = await signInPage()
  return browser.press(page, 'sign-in', { email, password })
}

const isIn = (page: Page) => page.left && page.url.searchParams.has('code')
const hashOf = async (email: string): Promise<string> => {
  const { rows } = await server.database.pool().query('select password_hash from accounts where email = $1', [email])
  return rows[0].password_hash
}

describe('S-157 the whole password counts', () => {
  it.each([
    ['72 bytes', 'long lanterns '.repeat(6).slice(0, 72)],
    ['72 bytes of two-byte letters', 'äöüßéñ'.repeat(6)],
    ['1000 characters', 'many mossy lanterns '.repeat(50)],
  ])('two passwords with the same first %s are two', async (what, same) => {
    const email = `${what.replaceAll(' ', '-')}@example.com`
    const id = await server.addPerson(email)
    expect(await server.rooms.accounts.setPassword(id, `${same}one`, 'operator')).toBeUndefined()
    expect(isIn(await signIn(email, `${same}one`))).toBe(true)
    for (const twin of [`${same}two`, same, `${same}one `, `${same}One`])
      expect((await signIn(email, twin)).status).toBe(401)
  })

  it('a password typed with composed or combining letters is the same', async () => {
    const id = await server.addPerson('nfc@example.com')
    await server.rooms.accounts.setPassword(id, 'un café très serré', 'operator')
    expect(isIn(await signIn('nfc@example.com', 'un café très serré'.normalize('NFD')))).toBe(true)
  })
})

describe('S-158 passwords are kept as argon2id', () => {
  it('at 19 MiB and 2 passes, or above', async () => {
    const [, kind, , costs] = (await hashOf('ada@example.com')).split('$')
    const cost = Object.fromEntries(costs!.split(',').map((one) => one.split('=')))
    expect(kind).toBe('argon2id')
    expect(Number(cost.m)).toBeGreaterThanOrEqual(19456)
    expect(Number(cost.t)).toBeGreaterThanOrEqual(2)
  })

  it('an old, weaker hash is replaced at its owner’s sign-in, not before, and not again', async () => {
    const email = 'old@example.com'
    const id = await server.addPerson(email)
    const weak = await argon2.hash(PASSWORD, { type: argon2.argon2id, memoryCost: 4096, timeCost: 2, parallelism: 1 })
    await server.database.pool().query('update accounts set password_hash = $1 where id = $2', [weak, id])
    expect((await signIn(email, 'not the password at all')).status).toBe(401)
    expect(await hashOf(email)).toBe(weak)
    expect(isIn(await signIn(email, PASSWORD))).toBe(true)
    const upgraded = await hashOf(email)
    expect(upgraded).toMatch(/^\$argon2id\$v=19\$(?=.*\bm=19456\b)(?=.*\bt=2\b)/)
    expect(isIn(await signIn(email, PASSWORD))).toBe(true)
    expect(await hashOf(email)).toBe(upgraded)
  })
})

describe('S-159 who may not come in cannot tell why', () => {
  const TOO_LONG = 'many mossy lanterns '.repeat(60)
  const refusals: [string, string, string][] = [
    ['a wrong password', 'ada@example.com', 'the wrong password entirely'],
    ['an unknown address', 'nobody@example.com', PASSWORD],
    ['a disabled account with the right password', 'disabled@example.com', PASSWORD],
    ['an account without a password', 'invited@example.com', PASSWORD],
    ['a password that is too long', 'ada@example.com', TOO_LONG],
    ['a password that is too long for nobody', 'nobody@example.com', TOO_LONG],
    ['no password', 'ada@example.com', ''],
  ]
  beforeAll(async () => {
    const id = await server.addPerson('disabled@example.com')
    await server.rooms.accounts.disable(id, 'operator')
    await server.rooms.accounts.add({ email: 'invited@example.com' }, 'operator')
  })

  it('same status, text, headers and cookies, and exactly one hash of the same cost', async () => {
    const seen = []
    for (const [why, email, password] of refusals) {
      const { browser, page } = await signInPage()
      const verify = jest.spyOn(argon2, 'verify')
      const hash = jest.spyOn(argon2, 'hash')
      const refused = await browser.press(page, 'sign-in', { email, password })
      const $ = load(refused.html)
      $('[name=csrf], [name=email]').attr('value', '')
      $('form').attr('action', '')
      const cost = verify.mock.calls.map(([digest]) => digest.split('$')[3]!.split(',').sort().join())
      seen.push({
        facts: {
          status: refused.status,
          html: $.html(),
          headers: [...refused.headers.keys()].sort().join(),
          cookies: refused.headers.getSetCookie().map((cookie) => cookie.replace(/=[^;]*/, '')),
          work: [cost, hash.mock.calls.length],
        },
        why,
      })
      jest.restoreAllMocks()
    }
    expect(seen[0]!.facts).toMatchObject({ status: 401, work: [['m=19456,p=1,t=2'], 0] })
    for (const { facts, why } of seen) expect([why, facts]).toEqual([why, seen[0]!.facts])
    expect(seen[0]!.facts.html).toContain('The email or the password is not right.')
  })

  it('same time, over 30 interleaved pairs', async () => {
    const times: Record<string, number[]> = { known: [], unknown: [] }
    const { browser, page } = await signInPage()
    const tries = [
      ['known', 'ada@example.com'],
      ['unknown', 'nobody@example.com'],
    ] as const
    for (let pair = 0; pair < 33; pair++) {
      for (const [who, email] of pair % 2 ? tries : tries.toReversed()) {
        const began = performance.now()
        await browser.press(page, 'sign-in', { email, password: 'the wrong password entirely' })
        if (pair >= 3) times[who]!.push(performance.now() - began)
      }
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
    const ratio = median(times.known!) / median(times.unknown!)
    // One hash is most of a sign-in: without it the ratio would be far out. What is exact is counted above.
    expect(ratio).toBeGreaterThan(0.67)
    expect(ratio).toBeLessThan(1.5)
  })
})

describe('S-164 the form is ours', () => {
  const good = { email: 'ada@example.com', password: PASSWORD, action: 'sign-in' }
  const csrfOf = (page: Page) => load(page.html)('[name=csrf]').attr('value')!
  const send = (browser: Browser, page: Page, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    browser.request(page.url, { method: 'POST', body: new URLSearchParams(fields), headers })

  it('a whole sign-in by a client that keeps cookies and runs no script', async () => {
    const { page } = await signInPage()
    expect(load(page.html)('script, [onclick], [onsubmit]').length).toBe(0)
    expect((await obtainCode(server, 'spa')).code).toMatch(/^gth_ac_/)
  })

  it.each([
    ['another site', { origin: 'https://evil.example' }],
    ['a frame of another site', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['our origin over another scheme', { origin: 'https://localhost' }],
    ['a cross-site form without Origin', { 'sec-fetch-site': 'cross-site' }],
    ['a neighbour on our domain', { 'sec-fetch-site': 'same-site' }],
  ])('from %s it is refused, with no work done', async (_from, headers) => {
    const { browser, page } = await signInPage()
    const verify = jest.spyOn(argon2, 'verify')
    const refused = await send(browser, page, { ...good, csrf: csrfOf(page) }, headers)
    expect([refused.status, verify.mock.calls.length]).toEqual([403, 0])
    expect(await refused.text()).toContain('did not come from our page')
    // Under our referrer policy browsers say so of our own forms.
    const ours = { origin: 'null', 'sec-fetch-site': 'same-origin' }
    expect((await send(browser, page, { ...good, csrf: csrfOf(page) }, ours)).status).toBe(303)
  })

  it('without a token, with that of another interaction, or of another browser, it is refused', async () => {
    const { browser, page } = await signInPage()
    const { page: otherTab } = await signInPage('shop', browser)
    const attacker = await signInPage()
    for (const csrf of ['', 'x'.repeat(43), csrfOf(otherTab), csrfOf(attacker.page)]) {
      expect((await send(browser, page, { ...good, csrf })).status).toBe(403)
    }
    expect((await send(browser, page, good)).status).toBe(403)
    // A second tab does not spoil the first.
    expect((await send(browser, page, { ...good, csrf: csrfOf(page) })).status).toBe(303)
  })

  it('another browser cannot answer an interaction, whatever it knows of it', async () => {
    const { page } = await signInPage()
    const stranger = createBrowser(server.issuer)
    const answer = await send(stranger, page, { ...good, csrf: csrfOf(page) })
    expect([answer.status, (await answer.text()).includes('This page is too old')]).toEqual([400, true])
  })

  it('each field is one string of a sensible length', async () => {
    const { browser, page } = await signInPage()
    const csrf = csrfOf(page)
    const body = `csrf=${csrf}&action=sign-in&email=a%40example.com&email=ada%40example.com&password=x`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await browser.request(page.url, { method: 'POST', body, headers })).status).toBe(400)
    expect((await send(browser, page, { ...good, csrf, password: 'x'.repeat(5000) })).status).toBe(400)
    expect((await send(browser, page, { ...good, csrf, action: 'become-admin' })).status).toBe(400)
  })
})

it('S-165 password managers and paste work', async () => {
  const { page } = await signInPage()
  const $ = load(page.html)
  const attributes = (id: string) => $(`#${id}`).attr() ?? {}
  expect(attributes('email')).toMatchObject({ name: 'email', type: 'email', autocomplete: 'username' })
  expect(attributes('password')).toMatchObject({ name: 'password', type: 'password', autocomplete: 'current-password' })
  for (const id of ['email', 'password']) {
    expect($(`label[for=${id}]`).text()).not.toBe('')
    const hindering = Object.keys(attributes(id)).filter((name) =>
      /^on|^(maxlength|pattern|readonly|disabled)$/.test(name),
    )
    expect(hindering).toEqual([])
  }
  const { token } = await server.rooms.accounts.makeSetPasswordLink(cast.ada, 'operator')
  const other = load((await createBrowser(server.issuer).open(`${server.issuer}/set-password?token=${token}`)).html)
  expect(other('#password').attr()).toMatchObject({ type: 'password', autocomplete: 'new-password' })
  expect(other('[autocomplete=username]').attr('value')).toBe('ada@example.com')
})

it('cancel goes back to the app with access_denied, signed in as nobody', async () => {
  const { browser, page } = await signInPage()
  const back = await browser.press(page, 'cancel')
  expect(back.left && back.url.href.startsWith(CALLBACK)).toBe(true)
  expect(back.url.searchParams.get('error')).toBe('access_denied')
  expect(load((await signInPage('spa', browser)).page.html)('#password').length).toBe(1)
})
