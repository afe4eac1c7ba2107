// Consent: asked of every person for every app of others and every new permission, understood, and given once.
import { load } from 'cheerio'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, pkce, redeem } from '../helpers/flow.ts'
import { addCast, CALLBACK, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  await addCast(server)
  await server.addPerson('bob@example.com')
})
afterAll(() => server.stop())

const rows = async (query: string, values: unknown[] = []) => (await server.database.pool().query(query, values)).rows

/** Asks for access. @returns the first page that is not a sign-in, or the app's address */
async function ask(
  browser: Browser,
  client: string,
  params: Record<string, string> = {},
  { email = 'ada@example.com', challenge = pkce().challenge } = {},
): Promise<Page> {
  const page = await browser.open(authorizeUrl(server, client, challenge, params))
  return page.html.includes('value="sign-in"') ? browser.press(page, 'sign-in', { email, password: PASSWORD }) : page
}

const asks = (page: Page) => !page.left && page.html.includes('value="allow"')
const isDone = (page: Page) => page.left && page.url.searchParams.has('code')
const words = (page: Page) => load(page.html)('main').text().replace(/\s+/g, ' ')

describe('S-187 who is asked, and when again', () => {
  it('each app of others, for each person; then not again for the same or less, also in a new session', async () => {
    const scope = { scope: 'openid orders:read' }
    await server.addClient({ id: 'asking' })
    const browser = createBrowser(server.issuer)
    const page = await ask(browser, 'asking', scope)
    expect(asks(page)).toBe(true)
    expect(isDone(await browser.press(page, 'allow'))).toBe(true)
    for (const again of [scope, { scope: 'openid' }]) {
      expect(isDone(await ask(browser, 'asking', again))).toBe(true)
      expect(isDone(await ask(createBrowser(server.issuer), 'asking', again))).toBe(true)
    }
    expect(asks(await ask(createBrowser(server.issuer), 'asking', scope, { email: 'bob@example.com' }))).toBe(true)
    expect(asks(await ask(browser, 'shop', scope))).toBe(true)
  })

  it('a new permission asks again, in this session and the next, and shows it; Cancel remembers nothing', async () => {
    await server.addClient({ id: 'growing' })
    const browser = createBrowser(server.issuer)
    await browser.press(await ask(browser, 'growing', { scope: 'openid orders:read' }), 'allow')
    const more = { scope: 'openid orders:read orders:write' }
    for (const where of [browser, createBrowser(server.issuer)]) {
      const page = await ask(where, 'growing', more)
      expect([asks(page), words(page)]).toEqual([true, expect.stringContaining('Place and cancel orders')])
      await where.press(page, 'deny')
    }
    const page = await ask(browser, 'growing', { ...more, scope: `${more.scope} email` })
    expect(asks(page)).toBe(true)
    expect(isDone(await browser.press(page, 'allow'))).toBe(true)
    expect(isDone(await ask(createBrowser(server.issuer), 'growing', more))).toBe(true)
  })

  it('what was not asked is not granted, whatever is pressed', async () => {
    const secret = await server.addClient({ id: 'modest' })
    const { verifier, challenge } = pkce()
    const browser = createBrowser(server.issuer)
    const page = await ask(browser, 'modest', { scope: 'openid orders:read' }, { challenge })
    const url = new URL(page.url)
    url.searchParams.set('scope', 'openid orders:read orders:write')
    const done = await browser.press({ ...page, url }, 'allow', { scope: 'openid orders:read orders:write' })
    const got = { code: done.url.searchParams.get('code')!, verifier }
    const tokens = await redeem(server, { id: 'modest', secret }, got)
    expect(tokens.body.scope?.split(' ').sort()).toEqual(['openid', 'orders:read'])
  })

  it('an app of our own skips the page, which only its operator can say', async () => {
    await server.addClient({ id: 'ours', firstParty: true })
    expect(isDone(await ask(createBrowser(server.issuer), 'ours', { scope: 'openid orders:write' }))).toBe(true)
    const claims = { scope: 'openid orders:read', first_party: 'true', skip_consent: 'true' }
    await server.addClient({ id: 'pretender' })
    expect(asks(await ask(createBrowser(server.issuer), 'pretender', claims))).toBe(true)
  })

  it('prompt=consent asks although it is remembered', async () => {
    await server.addClient({ id: 'polite' })
    const browser = createBrowser(server.issuer)
    await browser.press(await ask(browser, 'polite'), 'allow')
    expect(asks(await ask(browser, 'polite', { prompt: 'consent' }))).toBe(true)
  })
})

describe('S-188 an app that cannot prove who it is asks each time', () => {
  it.each([
    ['a native app with a scheme of its own', 'native', 'com.example.app:/callback'],
    ['a native app on the web', 'native', 'https://app.example.com/callback'],
    ['a native app on this machine', 'native', 'http://127.0.0.1:9/callback'],
    ['an app in the browser', 'spa', 'https://spa.example.com/callback'],
  ] as const)('%s', async (what, kind, redirect_uri) => {
    const id = what.replaceAll(' ', '-')
    await server.addClient({ id, kind, authMethod: 'none', redirectUris: [redirect_uri], postLogoutRedirectUris: [] })
    const browser = createBrowser(server.issuer)
    const params = { redirect_uri, scope: 'openid orders:read' }
    for (let visit = 0; visit < 3; visit++) {
      const page = await ask(browser, id, params)
      expect([visit, asks(page)]).toEqual([visit, true])
      expect(isDone(await browser.press(page, 'allow'))).toBe(true)
    }
    const silent = await ask(browser, id, { ...params, prompt: 'none' })
    expect(silent.url.searchParams.get('error')).toMatch(/^(interaction|consent)_required$/)
  })
})

it('S-189 the page says who asks, for whom, for what, how long, and where it leads', async () => {
  const id = 'shown'
  await server.addClient({
    id,
    name: 'Corner <b>Shop</b>',
    refresh: 'offline',
    redirectUris: [CALLBACK, 'https://shop.example.com/callback?x=1'],
    scopes: { [ORDERS]: ['orders:read', 'orders:write'] },
  })
  const page = await ask(createBrowser(server.issuer), id, {
    scope: 'openid email orders:read orders:write',
    redirect_uri: 'https://shop.example.com/callback?x=1',
    state: 'not for showing',
  })
  const $ = load(page.html)
  expect($('h1').text()).toBe('Corner <b>Shop</b> asks for access to your account')
  const said = words(page)
  for (const text of [
    'From shop.example.com, registered by the administrator',
    'Signed in as ada@example.com',
    'in Orders',
    'See your orders',
    'Place and cancel orders',
    'See your email address',
    'Know that it is you',
    'Stay connected',
    'until it is removed',
    'at most 90 days',
    'Then you return to https://shop.example.com',
  ])
    expect(said).toContain(text)
  for (const text of ['not for showing', 'orders:write', 'openid', 'scope']) expect(said).not.toContain(text)
  // The grave permission stands first, under a warning in words.
  const headings = $('h3')
    .toArray()
    .map((heading) => $(heading).text())
  expect(headings[0]).toMatch(/^Take care/)
  expect($('h3').first().next().text()).toContain('Place and cancel orders')
  const [allow, deny] = ['allow', 'deny'].map((value) => $(`button[value=${value}]`).attr('class'))
  expect(allow).toBe(deny)
})

it('S-189 an app without “stay connected” says when its access ends', async () => {
  for (const [refresh, text] of [
    ['session', 'ends when you sign out'],
    ['none', 'ends after a few minutes'],
  ] as const) {
    await server.addClient({ id: `lasting-${refresh}`, refresh })
    const said = words(await ask(createBrowser(server.issuer), `lasting-${refresh}`))
    expect(said).toContain(text)
    expect(said).not.toContain('Stay connected')
  }
})

describe('S-190', () => {
  const send = (browser: Browser, page: Page, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    browser.request(page.url, { method: 'POST', body: new URLSearchParams(fields), headers })
  const csrfOf = (page: Page) => load(page.html)('[name=csrf]').attr('value')!

  it('a form from elsewhere gives no access; neither does any GET', async () => {
    await server.addClient({ id: 'forged' })
    const browser = createBrowser(server.issuer)
    const page = await ask(browser, 'forged')
    const other = await ask(browser, 'shop', { scope: 'openid orders:write' })
    const good = { csrf: csrfOf(page), action: 'allow' }
    for (const headers of [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'null', 'sec-fetch-site': 'cross-site' },
    ])
      expect((await send(browser, page, good, headers as Record<string, string>)).status).toBe(403)
    for (const csrf of ['', 'x', csrfOf(other)]) expect((await send(browser, page, { ...good, csrf })).status).toBe(403)
    expect((await send(createBrowser(server.issuer), page, good)).status).toBe(400)
    for (const query of [`?action=allow&csrf=${good.csrf}`, '?action=allow']) {
      expect((await browser.open(page.url.href + query)).status).toBe(200)
    }
    expect(await rows(`select from grants where client_id = 'forged'`)).toEqual([])
    expect((await send(browser, page, good)).status).toBe(303)
    expect(await rows(`select from grants where client_id = 'forged'`)).toHaveLength(1)
  })

  it('the page cannot be framed, and nothing on it is pressed by itself', async () => {
    const page = await ask(createBrowser(server.issuer), 'shop')
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    const policy = page.headers.get('content-security-policy')
    for (const part of ["frame-ancestors 'none'", "default-src 'none'", "base-uri 'none'"])
      expect(policy).toContain(part)
    expect(load(page.html)('script, button[autofocus], meta[http-equiv]').length).toBe(0)
  })
})
