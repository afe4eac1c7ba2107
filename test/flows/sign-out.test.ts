// Signing out: asked for by the person, complete, and leading nowhere that the app has not registered.
import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainTokens, pkce, redeem, refresh } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

const HOME = 'http://localhost:9/'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

const ORDERS_SCOPE = { scope: 'openid orders:read' }
const signIn = (browser?: Browser, at: TestServer = server) => obtainTokens(at, shop(), ORDERS_SCOPE, browser)

const signOutUrl = (params: Record<string, string> = {}, at: TestServer = server) =>
  `${at.issuer}/logout?${new URLSearchParams(params)}`

const cookiesOf = (browser: Browser, at: TestServer = server) => browser.jar.getCookieString(`${at.issuer}/`)

/** Asks for a code without a page, with a cookie header as it was kept. @returns the code with its verifier, or the error */
async function ask(cookie: string, at: TestServer = server) {
  const { verifier, challenge } = pkce()
  const url = authorizeUrl(at, 'shop', challenge, { prompt: 'none', ...ORDERS_SCOPE })
  const answer = await fetch(url, { headers: { cookie }, redirect: 'manual' })
  const back = new URL(answer.headers.get('location') ?? 'about:blank').searchParams
  return { code: back.get('code') ?? '', verifier, outcome: back.get('error') ?? `status ${answer.status}` }
}

/** @returns 'code', or the error */
async function replay(cookie: string, at: TestServer = server): Promise<string> {
  const { code, outcome } = await ask(cookie, at)
  return code === '' ? outcome : 'code'
}

const asks = (page: Page) => page.status === 200 && page.html.includes('value="yes"')

describe('S-183 a sign-out ends the session on the server', () => {
  it('the cookie is nobody’s any more, here and replayed; pages of before show nothing', async () => {
    const { browser } = await signIn()
    const consent = await browser.open(
      authorizeUrl(server, 'shop', pkce().challenge, { prompt: 'consent', ...ORDERS_SCOPE }),
    )
    expect(consent.headers.get('cache-control')).toBe('no-store')
    const kept = await cookiesOf(browser)
    expect(await replay(kept)).toBe('code')
    const out = await browser.press(await browser.open(signOutUrl()), 'yes')
    expect(out.html).toContain('You are signed out')
    expect(await cookiesOf(browser)).not.toMatch(/gatehouse-session=[\w-]/)
    expect(await replay(kept)).toBe('login_required')
    const told = await server.database
      .pool()
      .query(`select actor, subject from audit_entries where kind = 'account.signed-out'`)
    expect(told.rows).toEqual([{ actor: cast.ada, subject: cast.ada }])
    expect((await browser.press(consent, 'allow')).html).toContain('This page is too old')
    expect((await browser.open(consent.url)).html).not.toContain('ada@example.com')
  })

  it('what hung on it ends with it: refresh token and access tokens; other devices stay', async () => {
    const [here, there] = [await signIn(), await signIn()]
    const api = { id: 'orders-api', secret: cast.api }
    expect(await introspect(server, api, here.body.access_token)).toMatchObject({ active: true })
    await here.browser.press(await here.browser.open(signOutUrl()), 'yes')
    expect(await introspect(server, api, here.body.access_token)).toEqual({ active: false })
    expect((await refresh(server, shop(), here.body.refresh_token)).body.error).toBe('invalid_grant')
    expect(await introspect(server, api, there.body.access_token)).toMatchObject({ active: true })
    expect((await refresh(server, shop(), there.body.refresh_token)).status).toBe(200)
    expect(await replay(await cookiesOf(there.browser))).toBe('code')
  })

  it('requests on their way at that moment do not bring it back, and what they took along is worth nothing', async () => {
    const slow: SlowDatabase = await slowDown(server.database.connection, 10)
    const twin = await startTestServer({ database: server.database, env: { DATABASE_URL: slow.url } })
    try {
      await Promise.all(Array.from({ length: 30 }, () => fetch(`${twin.issuer}/set-password?token=${'x'.repeat(43)}`)))
      const wait = (time: number) => new Promise((resolve) => setTimeout(resolve, time))
      for (let round = 0; round < 3; round++) {
        const { browser } = await signIn(createBrowser(twin.issuer), twin)
        const kept = await cookiesOf(browser, twin)
        const question = await browser.open(signOutUrl({}, twin))
        const hammering = Array.from({ length: 16 }, (_, index) => wait(index * 15).then(() => ask(kept, twin)))
        // When the first has its code, the next ones are under way.
        await hammering[0]
        const out = await browser.press(question, 'yes')
        expect(out.html).toContain('You are signed out')
        const late = await Promise.all(hammering)
        expect(late.filter(({ outcome }) => /status 5/.test(outcome))).toEqual([])
        expect(await replay(kept, twin)).toBe('login_required')
        const codes = late.filter(({ code }) => code !== '')
        expect(codes.length).toBeGreaterThan(0)
        for (const got of codes) expect((await redeem(server, shop(), got)).body.error).toBe('invalid_grant')
      }
    } finally {
      await twin.stop()
      await slow.close()
    }
  })
})

describe('S-184 a sign-out that an app asks for', () => {
  const alive = async (browser: Browser) => replay(await cookiesOf(browser))

  it('asks the person, with a hint and without; nothing ends before the answer', async () => {
    const { browser, body } = await signIn()
    const ways: Record<string, string>[] = [{}, { client_id: 'shop' }, { id_token_hint: body.id_token }]
    for (const params of ways) {
      const page = await browser.open(signOutUrl(params))
      expect([params, asks(page)]).toEqual([params, true])
      expect(await alive(browser)).toBe('code')
    }
    const named = await browser.open(signOutUrl({ id_token_hint: body.id_token }))
    expect(named.html).toContain('Corner Shop')
  })

  it('then goes back to the registered address, with the state', async () => {
    const { browser, body } = await signIn()
    const params = { id_token_hint: body.id_token, post_logout_redirect_uri: HOME, state: 'a & b' }
    const gone = await browser.press(await browser.open(signOutUrl(params)), 'yes')
    expect([gone.left, gone.url.origin + gone.url.pathname, gone.url.searchParams.get('state')]).toEqual([
      true,
      HOME,
      'a & b',
    ])
    expect(await alive(browser)).toBe('login_required')
  })

  it.each([
    ['another host', 'https://evil.example/'],
    ['another port', 'http://localhost:10/'],
    ['another scheme', 'https://localhost:9/'],
    ['another path', 'http://localhost:9/elsewhere'],
    ['no slash', 'http://localhost:9'],
    ['a query', 'http://localhost:9/?next=x'],
    ['a fragment', 'http://localhost:9/#x'],
    ['another case', 'HTTP://LOCALHOST:9/'],
    ['user information', 'http://localhost:9@evil.example/'],
    ['a script', 'javascript:alert(1)//http://localhost:9/'],
    ['the address of a redirect', 'http://localhost:9/callback'],
  ])('goes nowhere else: %s', async (_what, uri) => {
    const { browser, body } = await signIn()
    const whose: Record<string, string>[] = [{ id_token_hint: body.id_token }, { client_id: 'shop' }]
    for (const who of whose) {
      const page = await browser.open(signOutUrl({ ...who, post_logout_redirect_uri: uri }))
      expect([page.left, page.status, asks(page)]).toEqual([false, 400, false])
    }
    // Without an app to ask, the address is left out.
    const page = await browser.open(signOutUrl({ post_logout_redirect_uri: uri }))
    const out = await browser.press(page, 'yes')
    expect([out.left, out.html.includes('You are signed out')]).toEqual([false, true])
  })

  it('believes no hint that is not ours', async () => {
    const { browser, body } = await signIn()
    const [header, payload, signature] = body.id_token.split('.') as [string, string, string]
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    const hints = {
      'another signature': `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      'another subject': `${header}.${encode({ ...claims, sub: 'usr_other' })}.${signature}`,
      'no signature': `${encode({ alg: 'none' })}.${payload}.`,
      'a key of somebody else': await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey),
      'our public key as a secret': await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid })
        .sign(new TextEncoder().encode(await (await fetch(`${server.issuer}/jwks`)).text())),
      'no token at all': 'x.y.z',
      'an access token': body.access_token,
    }
    for (const [what, id_token_hint] of Object.entries(hints)) {
      const page = await browser.open(signOutUrl({ id_token_hint, post_logout_redirect_uri: HOME }))
      expect([what, page.status, page.left, asks(page)]).toEqual([what, 400, false, false])
    }
    const mismatch = { id_token_hint: body.id_token, client_id: 'spa' }
    expect((await browser.open(signOutUrl(mismatch))).status).toBe(400)
    expect(await alive(browser)).toBe('code')
  })

  it('the answer counts only from our page, for this session, and with the button for it', async () => {
    const { browser } = await signIn()
    const page = await browser.open(signOutUrl({ client_id: 'shop' }))
    const confirm = (fields: Record<string, string>) =>
      browser.request(`${server.issuer}/logout/confirm`, { method: 'POST', body: new URLSearchParams(fields) })
    const foreign = await signIn()
    const xsrf = (html: string) => /name="xsrf" value="([^"]+)"/.exec(html)![1]!
    const theirs = xsrf((await foreign.browser.open(signOutUrl())).html)
    for (const wrong of ['', 'x', theirs]) expect((await confirm({ logout: 'yes', xsrf: wrong })).status).toBe(400)
    expect((await confirm({ logout: 'yes' })).status).toBe(400)
    expect(await alive(browser)).toBe('code')
    expect((await fetch(`${server.issuer}/logout/confirm?logout=yes&xsrf=${xsrf(page.html)}`)).status).toBe(405)
    expect((await confirm({ logout: 'yes', xsrf: xsrf(page.html) })).status).toBe(303)
    expect(await alive(browser)).toBe('login_required')
  })

  it('“Stay signed in” leaves the person signed in, also where one app asked', async () => {
    const { browser } = await signIn()
    const ways: Record<string, string>[] = [{}, { client_id: 'shop' }]
    for (const params of ways) {
      const page = await browser.open(signOutUrl(params))
      const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.html)![1]!
      const body = new URLSearchParams({ xsrf })
      expect((await browser.request(`${server.issuer}/logout/confirm`, { method: 'POST', body })).status).toBe(303)
      expect(await alive(browser)).toBe('code')
    }
  })
})
