// A client that is switched off or removed gets and keeps nothing, however far it had come (SECURITY S-078).
import pg from 'pg'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, obtainTokens, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'
import { createSigner } from '../helpers/signer.ts'
import { until } from '../helpers/until.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
type Caller = { id: string; secret?: string }
const api = () => ({ id: 'orders-api', secret: cast.api })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

let made = 0
async function addClient(how: 'secret' | 'public'): Promise<Caller> {
  const id = `client-${++made}`
  const { scopes } = (await server.rooms.clients.find('shop'))!
  const kind = how === 'public' ? { kind: 'spa' as const, authMethod: 'none' as const } : {}
  const secret = await server.addClient({ id, name: `Name of ${id}`, scopes, refresh: 'offline', ...kind })
  return { id, secret: secret || undefined }
}
const end = {
  disabled: (id: string) => server.rooms.clients.disable(id, 'operator'),
  removed: (id: string) => server.rooms.clients.remove(id, 'operator'),
}
const ask = (client: Caller, params: Record<string, string> = {}) =>
  authorizeUrl(server, client.id, pkce().challenge, params)
const signIn = (browser: Browser, page: Page) =>
  browser.press(page, 'sign-in', { email: 'ada@example.com', password: PASSWORD })
const userinfo = async (token: string) =>
  (await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status

/** An error page here: no redirect, no code, no fault. */
function expectStays(page: Page): void {
  expect([page.left, page.status]).toEqual([false, 400])
  expect(page.html).not.toMatch(/gth_ac_|<form/)
}

describe.each([
  ['disabled', 'secret'],
  ['disabled', 'public'],
  ['removed', 'secret'],
  ['removed', 'public'],
] as const)('S-078 a client that is %s (%s)', (how, kind) => {
  it('gets no code, whether people are signed in or not, asked or not', async () => {
    const client = await addClient(kind)
    const { browser } = await obtainCode(server, client.id)
    await end[how](client.id)
    for (const at of [browser, createBrowser(server.issuer)])
      for (const params of [{}, { prompt: 'none' }, { prompt: 'login' }, { response_mode: 'form_post' }] as Record<
        string,
        string
      >[])
        expectStays(await at.open(ask(client, params)))
  })

  it('gets no code from a page that was open', async () => {
    for (const buttons of [['sign-in'], ['allow'], ['deny'], ['cancel'], ['switch']] as const) {
      const client = await addClient(kind)
      const browser = createBrowser(server.issuer)
      const first = await browser.open(ask(client, { prompt: 'consent' }))
      const page = ['allow', 'deny', 'switch'].includes(buttons[0]) ? await signIn(browser, first) : first
      await end[how](client.id)
      const reloaded = await browser.open(page.url)
      expect(reloaded.status).toBeLessThan(500)
      let at = buttons[0] === 'sign-in' ? await signIn(browser, page) : await browser.press(page, buttons[0])
      if (at.html.includes('value="sign-in"')) at = await signIn(browser, at)
      if (at.html.includes('value="allow"')) at = await browser.press(at, 'allow')
      if (at.html.includes('One more step')) at = await browser.press(at, '')
      expect([buttons[0], at.left, at.status]).toEqual([buttons[0], false, 400])
    }
  })

  it('gets nothing for codes and refresh tokens, and its tokens are dead everywhere', async () => {
    const client = await addClient(kind)
    const jwt = await obtainTokens(server, client, { scope: 'openid orders:read' })
    const opaque = await obtainTokens(server, client, { scope: 'openid things:read' }, jwt.browser)
    const machine =
      kind === 'secret' &&
      (await post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, client)).body.access_token
    const code = await obtainCode(server, client.id, {}, jwt.browser)
    expect(await introspect(server, api(), jwt.body.access_token)).toMatchObject({ active: true })
    await end[how](client.id)

    const attempts = [
      await redeem(server, client, code),
      await refresh(server, client, jwt.body.refresh_token),
      await post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, client),
      await post(server, '/introspect', { token: jwt.body.access_token }, client),
      await post(server, '/revoke', { token: jwt.body.access_token }, client),
    ]
    for (const { status, body } of attempts) {
      expect([status, body.error]).toEqual([401, 'invalid_client'])
      expect(Object.keys(body).sort()).toEqual(['error', 'error_description'])
    }
    for (const token of [jwt.body.access_token, opaque.body.access_token, jwt.body.refresh_token, machine || 'x'])
      expect(await introspect(server, api(), token)).toEqual({ active: false })
    for (const { body } of [jwt, opaque]) expect(await userinfo(body.access_token)).toBe(401)

    // Signing out of it is no fault either, and leads nowhere.
    for (const params of [
      { client_id: client.id },
      { id_token_hint: jwt.body.id_token },
      { client_id: client.id, post_logout_redirect_uri: 'http://localhost:9/' },
    ] as Record<string, string>[]) {
      const page = await jwt.browser.open(`${server.issuer}/logout?${new URLSearchParams(params)}`)
      expect([page.left, page.status < 500]).toEqual([false, true])
    }
  })
})

it('S-078 switched on again, it starts anew: what was dead stays dead', async () => {
  const client = await addClient('secret')
  const { body } = await obtainTokens(server, client, { scope: 'openid orders:read' })
  await server.rooms.clients.disable(client.id, 'operator')
  await server.rooms.clients.enable(client.id, 'operator')
  expect(await introspect(server, api(), body.access_token)).toEqual({ active: false })
  expect(await userinfo(body.access_token)).toBe(401)
  expect((await refresh(server, client, body.refresh_token)).body.error).toBe('invalid_grant')
  const fresh = await obtainTokens(server, client, { scope: 'openid orders:read' })
  expect(await introspect(server, api(), fresh.body.access_token)).toMatchObject({ active: true })
})

it('S-078 a client that signs is refused when it is disabled, with a good assertion', async () => {
  const signer = await createSigner(server.issuer, 'signer')
  await server.addClient({ id: 'signer', kind: 'agent', authMethod: 'private_key_jwt', jwks: signer.jwks })
  const claim = async () =>
    post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS, ...(await signer.assert()) })
  expect((await claim()).status).toBe(200)
  await server.rooms.clients.disable('signer', 'operator')
  const { status, body } = await claim()
  expect([status, body.error]).toEqual([401, 'invalid_client'])
})

it('S-078 an API that is disabled learns nothing more of its tokens', async () => {
  const secret = await server.addClient({
    id: 'api-two',
    kind: 'service',
    redirectUris: [],
    refresh: 'none',
    scopes: {},
    serves: [ORDERS],
  })
  const token = (
    await post(server, '/token', { grant_type: 'client_credentials' }, { id: 'billing', secret: cast.billing })
  ).body.access_token
  expect(await introspect(server, { id: 'api-two', secret }, token)).toMatchObject({ active: true })
  await server.rooms.clients.disable('api-two', 'operator')
  const answer = await post(server, '/introspect', { token }, { id: 'api-two', secret })
  expect([answer.status, answer.body.error, answer.body.active]).toEqual([401, 'invalid_client', undefined])
})

/**
 * Does something each time that a client is about to be read from the database.
 * @returns how often that was
 */
async function readingClient(id: string, before: (time: number) => Promise<unknown>, work: () => Promise<unknown>) {
  const { prototype } = pg.Client as unknown as { prototype: { query: (...given: unknown[]) => unknown } }
  const query = prototype.query
  let times = 0
  prototype.query = function (this: unknown, ...given: unknown[]) {
    const [text, values] = given as [string, unknown[] | undefined]
    if (!String(text).startsWith('select * from "clients"') || values?.[0] !== id) return query.apply(this, given)
    return before(++times).then(() => query.apply(this, given))
  }
  try {
    await work()
  } finally {
    prototype.query = query
  }
  return times
}

it.each([
  ['before', 1],
  ['after', 2],
])('S-078 a client that goes while its token is looked at, %s its rights are: no fault', async (when, time) => {
  const client = await addClient('secret')
  const { body } = await obtainTokens(server, client, { scope: 'openid things:read' })
  const version = () => server.rooms.live!.version('clients')
  const changed = async () => {
    const before = await until(version)
    await server.database.pool().query("update clients set name = name || '!' where id = 'spa'")
    await until(() => ![undefined, before].includes(version()))
  }
  const gone = () => server.database.pool().query('update clients set disabled_at = now() where id = $1', [client.id])
  await changed() // nobody knows it from memory, and nobody keeps what was read before the next change
  let answer: Record<string, unknown> = {}
  const times = await readingClient(
    client.id,
    (reading) => (reading === time ? gone() : changed()),
    async () => {
      answer = await introspect(server, api(), body.access_token)
    },
  )
  expect([answer.active, answer.error]).toEqual([when === 'after', undefined])
  expect(times).toBe(1)
})
