// Values of strangers come back as text or not at all, and break nothing; our own faults tell a stranger nothing but an id.
import { randomUUID } from 'node:crypto'
import { load } from 'cheerio'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, basic, obtainTokens, pkce } from '../helpers/flow.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

const MARKUP = `"><svg onload=1>'`
const VALUES = [
  MARKUP,
  'a\0b',
  '\r\nX-Evil: 1\r\n\r\n<svg onload=1>',
  '__proto__',
  'constructor',
  'toString',
  '%00%ff%',
  '{"$gt":""}',
  "' or 1=1 --",
  '\u202e\ufeff\ud83d\ude00\u{e0041}',
  '../../../../etc/passwd',
  '-1',
  '1e309',
  ' ',
]

let server: TestServer
let shop: Record<string, string>
let tokens: Awaited<ReturnType<typeof obtainTokens>>

beforeAll(async () => {
  server = await startTestServer()
  const cast = await addCast(server)
  shop = basic('shop', cast.shop)
  tokens = await obtainTokens(server, { id: 'shop', secret: cast.shop }, { scope: 'openid orders:read' })
})
afterAll(() => server.stop())

/** Whatever the answer is, it is not our fault, and what was sent is no markup and no header in it. */
async function expectHarmless(what: unknown, answer: Response): Promise<void> {
  const body = await answer.text()
  const type = answer.headers.get('content-type') ?? ''
  expect([what, answer.status >= 500 ? body : answer.status]).toEqual([what, expect.any(Number)])
  if (type.includes('html')) {
    expect([what, load(body)('svg[onload], [onload]').length]).toEqual([what, 0])
    expect([what, body.includes('<svg onload')]).toEqual([what, false])
  } else if (body !== '')
    expect([what, type]).toEqual([what, expect.stringMatching(/^application\/(json|jwk-set\+json)/)])
  expect([what, answer.headers.get('x-evil')]).toEqual([what, null])
  expect([what, answer.headers.get('location') ?? '']).toEqual([what, expect.not.stringMatching(/[<>"\s]/)])
  expect([what, `${body}`]).toEqual([
    what,
    expect.not.stringMatching(/\bat .*\.(ts|js):\d+|node_modules|select "|relation "/),
  ])
}

const html = { accept: 'text/html' }
const get = (url: string | URL, headers: Record<string, string> = html) => fetch(url, { headers, redirect: 'manual' })

describe('S-010 hostile values', () => {
  const authorizeParameters = [
    'client_id',
    'response_type',
    'redirect_uri',
    'scope',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'response_mode',
    'prompt',
    'max_age',
    'login_hint',
    'id_token_hint',
    'acr_values',
    'ui_locales',
    'claims',
    'resource',
    'request',
    'request_uri',
    'registration',
    'display',
    'dpop_jkt',
    'unknown',
  ]
  it.each(authorizeParameters)('S-010 in %s of an authorization request', async (name) => {
    for (const value of VALUES) {
      const url = authorizeUrl(server, 'shop', pkce().challenge, { [name]: value })
      const answer = await get(url)
      const next = answer.headers.get('location')
      await expectHarmless(`${name}=${JSON.stringify(value)}`, answer)
      if (!next?.startsWith('/interaction/')) continue
      // The pages that follow show some of it.
      const browser = createBrowser(server.issuer)
      const page = await browser.open(url)
      expect([page.status, page.html.includes('<svg onload')]).toEqual([200, false])
    }
  })

  it('S-010 in the parameters of the endpoints for programs', async () => {
    const forms: readonly [string, Record<string, string>][] = [
      [
        '/token',
        { grant_type: 'client_credentials', scope: '', resource: '', client_id: '', client_secret: '', x: '' },
      ],
      ['/token', { grant_type: 'client_credentials', client_assertion: '', client_assertion_type: '' }],
      ['/token', { grant_type: 'authorization_code', code: '', redirect_uri: '', code_verifier: '' }],
      ['/token', { grant_type: 'refresh_token', refresh_token: '', scope: '', resource: '' }],
      ['/introspect', { token: '', token_type_hint: '' }],
      ['/revoke', { token: '', token_type_hint: '' }],
      ['/userinfo', { access_token: '' }],
      ['/logout/confirm', { xsrf: '', logout: '' }],
    ]
    for (const [path, form] of forms) {
      for (const name of Object.keys(form)) {
        for (const value of VALUES) {
          const body = new URLSearchParams({ ...form, [name]: value })
          const named = name === 'client_id' || name === 'client_assertion'
          const headers = { ...html, ...(path === '/userinfo' || named ? {} : shop) }
          const answer = await fetch(`${server.issuer}${path}`, { method: 'POST', body, headers })
          await expectHarmless(`${path} ${name}=${JSON.stringify(value)}`, answer)
        }
      }
    }
  })

  it('S-010 in addresses, queries and headers', async () => {
    for (const value of VALUES) {
      const it = encodeURIComponent(value)
      for (const path of [
        `/${it}`,
        `/authorize/${it}`,
        `/interaction/${it}`,
        `/interaction/${it}/switch`,
        `/logout?client_id=${it}`,
        `/logout?client_id=shop&post_logout_redirect_uri=${it}`,
        `/logout?id_token_hint=${it}`,
        `/logout?state=${it}&logout_hint=${it}&ui_locales=${it}`,
        `/logout/success?client_id=${it}`,
        `/set-password?token=${it}`,
        `/admin/setup?token=${it}`,
      ])
        await expectHarmless(path, await get(`${server.issuer}${path}`))
      const raw = Buffer.from(`${value}:${value}`).toString('base64')
      const form = { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials' }) }
      for (const authorization of [`Basic ${raw}`, `Bearer ${it}`, `Basic ${it}`, it]) {
        for (const path of ['/token', '/userinfo'])
          await expectHarmless(
            authorization,
            await fetch(`${server.issuer}${path}`, { ...form, headers: { authorization } }),
          )
      }
      const cookie = `gatehouse-session=${it}; gatehouse-session.sig=${it}; gatehouse-form=${it}; gatehouse-interaction=${it}`
      await expectHarmless(cookie, await get(authorizeUrl(server, 'shop', pkce().challenge), { ...html, cookie }))
    }
  })

  it('S-010 in the forms of our pages', async () => {
    const { token } = await server.rooms.accounts.makeAdminLink('operator')
    for (const value of VALUES) {
      const browser = createBrowser(server.issuer)
      const signIn = await browser.open(authorizeUrl(server, 'shop', pkce().challenge))
      const again = await browser.press(signIn, 'sign-in', { email: value, password: value })
      expect([value, again.status, again.html.includes('<svg onload')]).toEqual([value, 401, false])
      const setup = await browser.open(`${server.issuer}/admin/setup?token=${token}`)
      const refused = await browser.press(setup, 'create', { email: value, name: value, password: 'short' })
      expect([value, refused.status, refused.html.includes('<svg onload')]).toEqual([value, 422, false])
    }
  })

  it('S-010 words of the language are no permissions', async () => {
    const browser = createBrowser(server.issuer)
    await server.addClient({ id: 'fresh' })
    const url = authorizeUrl(server, 'fresh', pkce().challenge, {
      scope: 'openid orders:read toString constructor __proto__',
      resource: ORDERS,
    })
    const page = await browser.open(url)
    const consent = await browser.press(page, 'sign-in', { email: 'ada@example.com', password: PASSWORD })
    const listed = load(consent.html)('section li')
      .toArray()
      .map((item) => load(item).text().trim())
    expect(listed).toEqual(['See your orders', 'Know that it is you'])
  })
})

describe('S-010 a fault of ours', () => {
  const INSIDE = /clients|interactions|families|account_links|relation|select|kysely|\.ts|\.js|node:|Error:|[a-z]Error/

  async function withoutTable<T>(table: string, work: () => Promise<T>): Promise<T> {
    const pool = server.database.pool()
    // Another client makes what is kept in memory of clients old.
    await server.addClient({ id: `another-${randomUUID()}` })
    await pool.query(`alter table ${table} rename to ${table}_away`)
    try {
      return await work()
    } finally {
      await pool.query(`alter table ${table}_away rename to ${table}`)
    }
  }

  const faults: readonly [string, string, (accept: string) => Promise<Response>][] = [
    ['authorization', 'clients', (accept) => get(authorizeUrl(server, 'shop', pkce().challenge), { accept })],
    ['a login under way', 'interactions', (accept) => get(authorizeUrl(server, 'shop', pkce().challenge), { accept })],
    [
      'one-time links',
      'account_links',
      (accept) => get(`${server.issuer}/set-password?token=${'x'.repeat(43)}`, { accept }),
    ],
    ['sign-out', 'sessions', (accept) => get(`${server.issuer}/logout`, { accept })],
    ['token', 'clients', (accept) => post('/token', { grant_type: 'client_credentials' }, accept)],
    [
      'introspection',
      'refresh_families',
      (accept) => post('/introspect', { token: tokens.body.refresh_token }, accept),
    ],
    ['introspection of a JWT', 'endings', (accept) => post('/introspect', { token: tokens.body.access_token }, accept)],
    [
      'userinfo',
      'endings',
      (accept) => get(`${server.issuer}/userinfo`, { accept, authorization: `Bearer ${tokens.body.access_token}` }),
    ],
  ]
  const post = (path: string, form: Record<string, string>, accept: string) =>
    fetch(`${server.issuer}${path}`, { method: 'POST', body: new URLSearchParams(form), headers: { ...shop, accept } })

  it.each(faults)('S-010 at %s (no table %s) is told to the log, not to the caller', async (_where, table, ask) => {
    for (const accept of ['text/html', 'application/json']) {
      const answer = await withoutTable(table, () => ask(accept))
      const text = await answer.text()
      const id = answer.headers.get('x-request-id')!
      expect([answer.status, answer.headers.get('location'), answer.headers.get('set-cookie')]).toEqual([
        500,
        null,
        null,
      ])
      expect(answer.headers.get('cache-control')).toContain('no-store')
      if (answer.headers.get('content-type')?.includes('html')) {
        expect(load(text)('main').text()).toContain(id)
        expect(load(text)('main').text()).not.toMatch(INSIDE)
      } else {
        expect(JSON.parse(text)).toEqual({
          error: 'server_error',
          error_description: expect.not.stringMatching(INSIDE),
          request_id: id,
        })
      }
      const told = server.log.map((line) => JSON.parse(line)).filter(({ request }) => request === id)
      expect(told).toContainEqual(
        expect.objectContaining({
          level: 50,
          err: expect.objectContaining({ message: expect.stringContaining(table) }),
        }),
      )
    }
  })

  it('S-010 is over when its cause is', async () => {
    expect((await post('/introspect', { token: tokens.body.access_token }, '*/*')).status).toBe(200)
  })
})
