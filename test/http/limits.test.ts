// Parameters that are refused before they cost anything: given twice, or too long (SECURITY S-013, S-014).
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, basic, pkce, post } from '../helpers/flow.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let billing: Record<string, string>
let shop: { id: string; secret: string }
let poster: string

beforeAll(async () => {
  server = await startTestServer()
  const cast = await addCast(server)
  billing = basic('billing', cast.billing)
  shop = { id: 'shop', secret: cast.shop }
  poster = await server.addClient({ id: 'poster', authMethod: 'client_secret_post' })
})
afterAll(() => server.stop())

const ask = (url: URL) => fetch(url, { headers: { accept: 'text/html' }, redirect: 'manual' })
const request = (params: Record<string, string | undefined> = {}, client = 'shop') =>
  authorizeUrl(server, client, pkce().challenge, params)

describe('S-013 a parameter given twice', () => {
  const base: Record<string, string> = {
    client_id: 'shop',
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid',
    state: 'the state',
    nonce: 'n',
    prompt: 'login',
    max_age: '60',
    login_hint: 'ada@example.com',
    acr_values: 'x',
    ui_locales: 'en',
    response_mode: 'query',
    code_challenge: pkce().challenge,
    code_challenge_method: 'S256',
  }
  const twice = (name: string, other = base[name]!) => {
    const url = request(base)
    url.searchParams.append(name, other)
    return url
  }

  it.each(Object.keys(base))('S-013 %s of an authorization request is refused', async (name) => {
    for (const other of [base[name]!, 'other', '']) {
      const answer = await ask(twice(name, other))
      const target = answer.headers.get('location')
      if (target === null) expect([other, answer.status]).toEqual([other, 400])
      else {
        const url = new URL(target, server.issuer)
        expect([url.origin, url.searchParams.get('error')]).toEqual([new URL(CALLBACK).origin, 'invalid_request'])
        expect(['client_id', 'redirect_uri']).not.toContain(name)
        // Which of two states is meant nobody knows, so neither is echoed.
        expect(url.searchParams.getAll('state')).toEqual(name === 'state' ? [] : ['the state'])
      }
    }
  })

  it('S-013 resource alone may be repeated, within reason', async () => {
    const url = request({ ...base, resource: ORDERS })
    url.searchParams.append('resource', THINGS)
    expect((await ask(url)).headers.get('location')).toMatch(/^\/interaction\//)
    for (let more = 0; more < 20; more++) url.searchParams.append('resource', ORDERS)
    expect((await ask(url)).status).toBe(400)
    const body = new URLSearchParams([['grant_type', 'client_credentials'], ...Array(1000).fill(['resource', ORDERS])])
    const many = await fetch(`${server.issuer}/token`, { method: 'POST', body, headers: billing })
    expect([many.status, await many.json()]).toEqual([400, expect.objectContaining({ error: 'invalid_request' })])
  })

  it.each([
    ['/token', { grant_type: 'client_credentials', scope: 'orders:read', client_assertion_type: 'x' }],
    ['/token', { grant_type: 'authorization_code', code: 'x', redirect_uri: CALLBACK, code_verifier: 'x'.repeat(43) }],
    ['/token', { grant_type: 'refresh_token', refresh_token: 'x', scope: 'openid' }],
    ['/token', { grant_type: 'client_credentials', client_id: 'poster', client_secret: '' }],
    ['/par', { client_id: 'shop', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', state: 's' }],
    ['/introspect', { token: 'x', token_type_hint: 'access_token' }],
    ['/revoke', { token: 'x', token_type_hint: 'access_token' }],
  ])('S-013 at %s: %j', async (path, form) => {
    const inBody = 'client_secret' in form
    const once: Record<string, string> = { ...form, ...(inBody && { client_secret: poster }) }
    for (const [name, value] of Object.entries(once)) {
      for (const other of [value, '']) {
        const twice = { ...once, [name]: [value, other] }
        const { status, body } = await post(server, path, twice, inBody ? undefined : shop)
        expect([name, status, body.error]).toEqual([name, 400, 'invalid_request'])
      }
    }
  })

  it('S-013 at sign-out and userinfo', async () => {
    for (const query of ['client_id=shop&client_id=shop', 'state=a&state=b', 'id_token_hint=a&id_token_hint=a'])
      expect([query, (await ask(new URL(`${server.issuer}/logout?${query}`))).status]).toEqual([query, 400])
    expect((await post(server, '/userinfo', { access_token: ['x', 'x'] })).status).toBe(400)
  })

  it('S-013 in the forms of our pages', async () => {
    const browser = createBrowser(server.issuer)
    const page = await browser.open(request())
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.html)![1]
    const good = `csrf=${csrf}&action=sign-in&email=ada@example.com&password=x`
    const press = (body: string) => browser.request(page.url, { method: 'POST', body: new URLSearchParams(body) })
    expect((await press(good)).status).toBe(401)
    for (const more of ['csrf=x', 'action=allow', 'email=x', 'password=x', 'email[]=x', 'password[x]=y'])
      expect([more, (await press(`${good}&${more}`)).status]).toEqual([more, 400])
  })
})

describe('S-014 length', () => {
  const limits: Record<string, number> = {
    client_id: 256,
    scope: 2048,
    state: 2048,
    nonce: 2048,
    login_hint: 320,
    resource: 2048,
    acr_values: 2048,
    id_token_hint: 8192,
  }

  it.each(Object.entries(limits))('S-014 %s of an authorization request: at most %i', async (name, longest) => {
    const words = async (length: number) => {
      const answer = await ask(request({ [name]: 'x'.repeat(length) }))
      return [answer.status, answer.headers.get('location'), (await answer.text()).includes(`${name} is too long`)]
    }
    expect(await words(longest + 1)).toEqual([400, null, true])
    expect((await words(longest))[2]).toBe(false)
  })

  it('S-014 it comes before everything else: an unknown app, a wrong secret', async () => {
    const answer = await ask(request({ state: 'x'.repeat(2049) }, 'nobody'))
    expect(await answer.text()).toContain('state is too long')
    const wrong = await post(
      server,
      '/token',
      { grant_type: 'client_credentials', scope: 'x'.repeat(2049) },
      { id: 'nobody', secret: 'x' },
    )
    expect(wrong.body.error_description).toBe('scope is too long')
  })

  it.each(['scope', 'code', 'refresh_token', 'code_verifier', 'client_assertion', 'resource', 'token'])(
    'S-014 50 kB of %s at the endpoints for programs',
    async (name) => {
      for (const path of name === 'token' ? ['/introspect', '/revoke'] : ['/token']) {
        const type = {
          code: 'authorization_code',
          code_verifier: 'authorization_code',
          refresh_token: 'refresh_token',
        }[name]
        const form = { grant_type: type ?? 'client_credentials', [name]: 'x '.repeat(25_000) }
        const { status, body } = await post(server, path, form, shop)
        expect([status, body.error, body.error_description]).toEqual([
          400,
          expect.stringMatching(/^invalid_(request|grant)$/),
          `${name} is too long`,
        ])
      }
    },
  )

  it('S-014 in the forms of our pages', async () => {
    for (const field of ['email', 'password']) {
      const browser = createBrowser(server.issuer)
      const page = await browser.press(await browser.open(request()), 'sign-in', { [field]: 'x'.repeat(50_000) })
      expect([field, page.status]).toEqual([field, 400])
    }
  })
})
