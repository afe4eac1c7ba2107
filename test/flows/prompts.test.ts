// When people are asked, and when they must not be (SECURITY S-037 to S-040, S-045).
import { decodeJwt } from 'jose'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, obtainCode, obtainTokens, passPages, pkce, redeem } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let bob: string
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  bob = await server.addPerson('bob@example.com')
  await server.addClient({ id: 'public', kind: 'spa', authMethod: 'none' })
  await server.addClient({ id: 'second', name: 'Second Hand' })
})
afterAll(() => server.stop())
afterEach(releaseClock)

const ask = (params: Record<string, string | undefined> = {}, client = 'shop') =>
  authorizeUrl(server, client, pkce().challenge, params)
const errorOf = (page: Page) => page.left && page.url.searchParams.get('error')
const asksForPassword = (page: Page) => page.html.includes('type="password"')
const signIn = (browser: Browser, page: Page, email = 'ada@example.com') =>
  browser.press(page, 'sign-in', { email, password: PASSWORD })

it('S-037 prompt=none shows no page: it answers login_required, consent_required, interaction_required, or a code', async () => {
  const browser = createBrowser(server.issuer)
  const silently = async (params: Record<string, string> = {}, client = 'shop') => {
    const answer = await browser.request(ask({ prompt: 'none', ...params }, client))
    expect(answer.status).toBe(303)
    return new URL(answer.headers.get('location')!).searchParams
  }
  expect((await silently()).get('error')).toBe('login_required')
  await signIn(browser, await browser.open(ask())) // and leaves the consent page alone
  expect((await silently()).get('error')).toBe('consent_required')
  await obtainCode(server, 'shop', {}, browser)
  expect((await silently()).get('code')).toMatch(/^gth_ac_/)
  expect((await silently({ scope: 'openid email' })).get('error')).toBe('consent_required')
  expect((await silently({ scope: 'openid orders:write' })).get('error')).toBe('consent_required')
  expect((await silently({ max_age: '0' })).get('error')).toBe('login_required')
  // A public client cannot prove that it is the app that was allowed before.
  await obtainCode(server, 'public', {}, browser)
  expect((await silently({}, 'public')).get('error')).toBe('interaction_required')
})

describe('S-038', () => {
  const claimsOf = async (got: { code: string; verifier: string }) =>
    decodeJwt((await redeem(server, shop(), got)).body.id_token) as { auth_time: number; sub: string }

  it.each([
    ['prompt=login', { prompt: 'login' }],
    ['max_age=0', { max_age: '0' }],
    ['max_age that is over', { max_age: '99' }],
  ])('%s asks for the password again, and moves auth_time', async (_what, params) => {
    holdClock()
    const first = await obtainCode(server, 'shop', { max_age: '1000' })
    const before = await claimsOf(first)
    passSeconds(100)
    const page = await first.browser.open(ask(params))
    expect(asksForPassword(page)).toBe(true)
    const after = await claimsOf(await obtainCode(server, 'shop', params, first.browser))
    expect(after.sub).toBe(before.sub)
    expect(after.auth_time - before.auth_time).toBe(100)
  })

  it('max_age that is not over asks nobody, and tells the old auth_time', async () => {
    holdClock()
    const first = await obtainCode(server, 'shop', { max_age: '1000' })
    const before = await claimsOf(first)
    passSeconds(100)
    const silent = await obtainCode(server, 'shop', { max_age: '101', prompt: 'none' }, first.browser)
    expect((await claimsOf(silent)).auth_time).toBe(before.auth_time)
  })

  it.each(['login', 'consent', 'login consent'])(
    'the way back without an answer leads to the page again: prompt=%s',
    async (prompt) => {
      const { browser } = await obtainCode(server, 'shop')
      const page = await browser.open(ask({ prompt }))
      expect(page.url.pathname).toMatch(/^\/interaction\//)
      const uid = page.url.pathname.split('/')[2]
      const again = await browser.open(`${server.issuer}/authorize/${uid}`)
      expect([again.left, again.url.pathname]).toEqual([false, expect.stringMatching(/^\/interaction\//)])
      expect(asksForPassword(again)).toBe(prompt.startsWith('login'))
    },
  )
})

describe('S-039 id_token_hint of another person', () => {
  const bobsHint = async () => {
    const browser = createBrowser(server.issuer)
    const page = await passPages(browser, await browser.open(ask({})), 'bob@example.com')
    expect(page.left).toBe(true)
    const { challenge, verifier } = pkce()
    const code = (await browser.open(authorizeUrl(server, 'shop', challenge, {}))).url.searchParams.get('code')!
    const hint = (await redeem(server, shop(), { code, verifier })).body.id_token
    expect(decodeJwt(hint).sub).toBe(bob)
    return hint
  }

  it('answers login_required, or asks for a sign-in; it never switches silently', async () => {
    const hint = await bobsHint()
    const { browser } = await obtainCode(server, 'shop')
    expect(errorOf(await browser.open(ask({ id_token_hint: hint, prompt: 'none' })))).toBe('login_required')
    const page = await browser.open(ask({ id_token_hint: hint }))
    expect(asksForPassword(page)).toBe(true)
    // Signing in as Ada all the same does not make her Bob.
    const still = await signIn(browser, page)
    expect([errorOf(still), still.url.searchParams.has('code')]).toEqual(['login_required', false])
    // And the session at hand is Ada's as before.
    const tokens = await obtainTokens(server, shop(), { prompt: 'none' }, browser)
    expect(decodeJwt(tokens.body.id_token).sub).toBe(cast.ada)
    // Signed out, whom the hint names may sign in.
    const fresh = createBrowser(server.issuer)
    const welcome = await signIn(fresh, await fresh.open(ask({ id_token_hint: hint })), 'bob@example.com')
    expect(welcome.url.searchParams.has('code')).toBe(true)
  })

  it('a hint of the person at hand, and a forged one', async () => {
    const tokens = await obtainTokens(server, shop())
    const own = await tokens.browser.open(ask({ id_token_hint: tokens.body.id_token, prompt: 'none' }))
    expect(own.url.searchParams.get('code')).toMatch(/^gth_ac_/)
    const [header, , signature] = tokens.body.id_token.split('.')
    const claims = Buffer.from(JSON.stringify({ ...decodeJwt(tokens.body.id_token), sub: bob })).toString('base64url')
    const forged = await tokens.browser.open(ask({ id_token_hint: `${header}.${claims}.${signature}` }))
    expect(errorOf(forged)).toBe('invalid_request')
  })
})

it('S-040 unknown parameters are ignored', async () => {
  const { answer } = await obtainCode(server, 'shop', {
    utm_source: 'mail',
    x: '{"y":[1]}',
    constructor: 'x',
    __proto__x: '1',
  })
  expect([...answer.searchParams.keys()].sort()).toEqual(['code', 'iss', 'state'])
})

it('S-040 an unknown scope beside known ones is dropped, and the answer says what was granted; alone it is refused', async () => {
  const { body } = await obtainTokens(server, shop(), { scope: 'openid orders:read nosuch' })
  expect(new Set(body.scope!.split(' '))).toEqual(new Set(['openid', 'orders:read']))
  expect(errorOf(await createBrowser(server.issuer).open(ask({ scope: 'openid nosuch' })))).toBe('invalid_scope')
  expect(errorOf(await createBrowser(server.issuer).open(ask({ scope: 'open"id' })))).toBe('invalid_scope')
})

describe('S-045', () => {
  const clientOf = async (page: Page, challenge: { verifier: string }, client: { id: string; secret: string }) =>
    (await redeem(server, client, { code: page.url.searchParams.get('code')!, ...challenge })).body

  it('two tabs with two apps: each code is for its own app, in either order', async () => {
    const secret = await server.rooms.clients.rotateSecret('second', 'operator')
    const second = { id: 'second', secret: secret.ok ? secret.secret : '' }
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const browser = createBrowser(server.issuer)
      const tabs = []
      for (const client of [shop(), second]) {
        const proof = pkce()
        const url = authorizeUrl(server, client.id, proof.challenge, { state: client.id, prompt: 'consent' })
        tabs.push({ client, proof, page: await browser.open(url) })
      }
      for (const index of order) {
        const tab = tabs[index]!
        tab.page = await signIn(browser, tab.page)
        expect(tab.page.html).toContain(tab.client.id === 'shop' ? 'Corner Shop' : 'Second Hand')
      }
      for (const index of order) {
        const { client, proof, page } = tabs[index]!
        const done = await browser.press(page, 'allow')
        expect([done.left, done.url.searchParams.get('state')]).toEqual([true, client.id])
        const body = await clientOf(done, proof, client)
        expect(decodeJwt(body.id_token).aud).toBe(client.id)
      }
    }
  })

  it('back button: a form that was sent before leads to a page that says so', async () => {
    const browser = createBrowser(server.issuer)
    const first = await browser.open(ask({ prompt: 'consent' }))
    const consent = await signIn(browser, first)
    for (const again of [await signIn(browser, first), await browser.open(first.url)]) {
      expect(again.status).toBe(400)
      expect(again.html).toContain('This page is too old')
    }
    const done = await browser.press(consent, 'allow')
    expect(done.url.searchParams.has('code')).toBe(true)
    for (const button of ['allow', 'deny', 'switch']) {
      const again = await browser.press(consent, button)
      expect([again.status, again.html.includes('This page is too old')]).toEqual([400, true])
    }
  })

  it('double clicks: of many at once one goes on, the others see a page, nobody a fault', async () => {
    const browser = createBrowser(server.issuer)
    const first = await browser.open(ask({ prompt: 'consent' }))
    const pages = await Promise.all(Array.from({ length: 5 }, () => signIn(browser, first)))
    expect(pages.map(({ status }) => status).filter((status) => status >= 500)).toEqual([])
    const consent = pages.filter((page) => page.html.includes('value="allow"'))
    expect(consent).toHaveLength(1)
    const ends = await Promise.all(Array.from({ length: 5 }, () => browser.press(consent[0]!, 'allow')))
    expect(ends.filter((page) => page.status >= 500)).toEqual([])
    expect(ends.filter((page) => page.left && page.url.searchParams.has('code'))).toHaveLength(1)
  })
})
