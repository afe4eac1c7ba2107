// The headers of every page that people can see, whoever made it: our pages, the engine's, and every error (S-005, S-006).
import { load } from 'cheerio'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, obtainTokens, pkce } from '../helpers/flow.ts'
import { send } from '../helpers/process.ts'
import { addCast, CALLBACK, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

const APP = 'http://localhost:9'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let signedIn: Browser
const pages: Record<string, () => Promise<Page>> = {}

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addClient({ id: 'poster', responseModes: ['query', 'form_post'] })
  await server.addClient({ id: 'app', kind: 'native', authMethod: 'none', redirectUris: ['com.example.app:/cb'] })
  const tokens = await obtainTokens(server, { id: 'shop', secret: cast.shop })
  signedIn = tokens.browser
})
afterAll(() => server.stop())

const stranger = () => createBrowser(server.issuer)
const ask = (client: string, params: Record<string, string | undefined> = {}) =>
  authorizeUrl(server, client, pkce().challenge, params)
const at = (path: string) => stranger().open(`${server.issuer}${path}`)

async function post(path: string, body: string, type = 'application/x-www-form-urlencoded'): Promise<Page> {
  const response = await stranger().request(`${server.issuer}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
  })
  const url = new URL(`${server.issuer}${path}`)
  return { status: response.status, url, headers: response.headers, html: await response.text(), left: false }
}

async function signInPage(browser = stranger(), client = 'shop'): Promise<[Browser, Page]> {
  return [browser, await browser.open(ask(client))]
}

async function afterWrongPassword(): Promise<Page> {
  const [browser, page] = await signInPage()
  return browser.press(page, 'sign-in', { email: 'ada@example.com', password: 'wrong' })
}

async function consentPage(client = 'shop', params = {}): Promise<[Browser, Page]> {
  const browser = stranger()
  const page = await browser.open(ask(client, { scope: 'openid email', ...params }))
  return [browser, await browser.press(page, 'sign-in', { email: 'ada@example.com', password: PASSWORD })]
}

async function switchPage(): Promise<Page> {
  const [browser, page] = await consentPage('app', { redirect_uri: 'com.example.app:/cb' })
  return browser.press(page, 'switch')
}

async function formPostPage(): Promise<Page> {
  const [browser, page] = await consentPage('poster', { response_mode: 'form_post' })
  return browser.press(page, 'allow')
}

async function signedOutPage(): Promise<Page> {
  const tokens = await obtainTokens(server, { id: 'shop', secret: cast.shop })
  return tokens.browser.press(await tokens.browser.open(`${server.issuer}/logout`), 'yes')
}

async function setupPage(): Promise<[Browser, Page]> {
  const { token } = await server.rooms.accounts.makeAdminLink('operator')
  const browser = stranger()
  return [browser, await browser.open(`${server.issuer}/admin/setup?token=${token}`)]
}

async function setPasswordPage(): Promise<[Browser, Page]> {
  const { token } = await server.rooms.accounts.makeSetPasswordLink(cast.ada, 'operator')
  const browser = stranger()
  return [browser, await browser.open(`${server.issuer}/set-password?token=${token}`)]
}

/** Renames a table, so that whatever reads it fails. */
async function without(table: string, work: () => Promise<Page>): Promise<Page> {
  const pool = server.database.pool()
  await pool.query(`alter table ${table} rename to ${table}_away`)
  try {
    return await work()
  } finally {
    await pool.query(`alter table ${table}_away rename to ${table}`)
  }
}

async function foreignHost(): Promise<Page> {
  const headers = { host: 'evil.example', accept: 'text/html' }
  const answer = await send(server.rooms.config.port, '/', { headers })
  const url = new URL(server.issuer)
  return { status: answer.status, url, headers: new Headers(answer.headers as never), html: answer.text, left: false }
}

// Each page: status, what its heading or text says, and where its forms may lead besides ourselves.
const every: readonly [string, number, RegExp, readonly string[], () => Promise<Page>][] = [
  ['sign in', 200, /Sign in/, [APP], async () => (await signInPage())[1]],
  ['sign in, wrong password', 401, /not right/, [APP], afterWrongPassword],
  ['sign in to an app with its own scheme', 200, /Sign in/, ['com.example.app:'], switchPage],
  ['consent', 200, /asks for access/, [APP], async () => (await consentPage())[1]],
  ['consent expired', 400, /too old/, [], () => at('/interaction/abc')],
  ['authorization expired (engine)', 400, /too old/, [], () => at('/authorize/abc')],
  ['unknown app (engine)', 400, /do not know this app/, [], () => stranger().open(ask('nobody'))],
  [
    'bad redirect (engine)',
    400,
    /cannot be trusted/,
    [],
    () => stranger().open(ask('shop', { redirect_uri: 'https://e.example/' })),
  ],
  ['too long (engine)', 400, /is too long/, [], () => stranger().open(ask('shop', { state: 'x'.repeat(3000) }))],
  ['sign out from nowhere (engine)', 400, /could not find logout details/, [], () => post('/logout/confirm', 'xsrf=x')],
  ['response by form_post (engine)', 200, /Continue/, [APP], formPostPage],
  [
    'sign out',
    200,
    /Sign out/,
    [],
    () => signedIn.open(`${server.issuer}/logout?post_logout_redirect_uri=https://e.example/`),
  ],
  [
    'sign out, then back',
    200,
    /Sign out/,
    [APP],
    () => signedIn.open(`${server.issuer}/logout?client_id=shop&post_logout_redirect_uri=${APP}/`),
  ],
  ['sign out, nobody signed in (engine)', 200, /Continue/, [], () => at('/logout')],
  [
    'sign out refused (engine)',
    400,
    /not registered/,
    [],
    () => at('/logout?client_id=shop&post_logout_redirect_uri=https://e.example/'),
  ],
  ['signed out', 200, /signed out/i, [], signedOutPage],
  ['landing', 200, /Gatehouse/, [], () => at('/')],
  ['set up', 200, /administrator/, [], async () => (await setupPage())[1]],
  [
    'set up, wrong entries',
    422,
    /administrator/,
    [],
    async () => {
      const [browser, page] = await setupPage()
      return browser.press(page, 'create', { email: 'x', name: '', password: 'x' })
    },
  ],
  ['set password', 200, /password/, [], async () => (await setPasswordPage())[1]],
  [
    'set password, too short',
    422,
    /password/,
    [],
    async () => {
      const [browser, page] = await setPasswordPage()
      return browser.press(page, 'set-password', { password: 'x' })
    },
  ],
  [
    'password set',
    200,
    /Your password is set/,
    [],
    async () => {
      const [browser, page] = await setPasswordPage()
      return browser.press(page, 'set-password', { password: PASSWORD })
    },
  ],
  ['link used', 410, /no longer works/, [], () => at('/set-password?token=x')],
  ['not found', 404, /no page here/, [], () => at('/nowhere')],
  ['wrong method', 405, /not how/, [], () => post('/jwks', '')],
  ['too large', 413, /too much/, [], () => post('/set-password', 'x'.repeat(60_000))],
  ['no form', 415, /HTML form/, [], () => post('/set-password', '{}', 'application/json')],
  ['form of another site', 403, /did not come from our page/, [], () => post('/set-password', 'token=x')],
  ['foreign host', 421, /Wrong address/, [], foreignHost],
  [
    'our fault',
    500,
    /our fault/,
    [],
    () => without('account_links', () => at(`/set-password?token=${'x'.repeat(43)}`)),
  ],
  ['our fault (engine)', 500, /our fault/, [], () => without('clients', () => stranger().open(ask('shop')))],
]

describe.each(every)('%s', (name, status, words, leadsTo, open) => {
  beforeAll(async () => {
    const page = await open()
    pages[name] = async () => page
  })

  it('S-005 has a policy that runs no script, is framed nowhere, and posts only where it must', async () => {
    const page = await pages[name]!()
    expect([page.status, page.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8'])
    expect(load(page.html).text()).toMatch(words)
    const policy = page.headers.get('content-security-policy')!
    const directives = policy.split(';').map((part) => part.trim().split(/\s+/))
    const foreign = (source: string) => source !== server.issuer
    expect(Object.fromEntries(directives.map(([directive, ...all]) => [directive, all.filter(foreign)]))).toEqual({
      'default-src': ["'none'"],
      'style-src': ["'self'"],
      'img-src': ["'self'"],
      'form-action': ["'self'", ...leadsTo],
      'frame-ancestors': ["'none'"],
      'base-uri': ["'none'"],
    })
    // The page lives by its policy: nothing on it would be blocked, and nothing reaches out.
    const $ = load(page.html)
    expect($('script, style, [style], iframe, object, embed, base, meta[http-equiv]').length).toBe(0)
    const attributes = $('*')
      .toArray()
      .flatMap((node) => Object.keys('attribs' in node ? node.attribs : {}))
    expect(attributes.filter((attribute) => attribute.startsWith('on'))).toEqual([])
    for (const link of $('link[href], img[src]').toArray()) {
      expect($(link).attr('href') ?? $(link).attr('src')).toMatch(/^\/(assets|favicon)/)
    }
  })

  it('S-006 forbids frames, sniffing, referrers and shared windows, and is never kept', async () => {
    const { headers } = await pages[name]!()
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': expect.stringContaining('no-store'),
      'x-robots-tag': 'noindex',
      'x-request-id': expect.stringMatching(/^[\w-]{12}$/),
    })
    expect([headers.get('x-powered-by'), headers.get('server')]).toEqual([null, null])
  })
})

it('S-005 the redirect target of the answer by form_post is the app, byte for byte', async () => {
  const page = await pages['response by form_post (engine)']!()
  expect(load(page.html)('form').attr('action')).toBe(CALLBACK)
})
