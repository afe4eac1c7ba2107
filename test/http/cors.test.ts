// Which pages of which origins may read our answers (SECURITY S-009): metadata and keys any; the rest those of the client
// that is asking. A preflight names no client, so the answer itself decides.
import { basic, obtainTokens } from '../helpers/flow.ts'
import { addCast, CALLBACK, startTestServer, type TestServer } from '../helpers/server.ts'

const OWN = new URL(CALLBACK).origin
const OTHERS = [
  'https://evil.example',
  `${OWN}.evil.example`,
  'http://localhost:90',
  'https://localhost:9',
  'http://LOCALHOST:9',
  'null',
  'com.example.app://',
  'file://',
]
const OPEN = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/jwks']

let server: TestServer
let shop: Record<string, string>
let token: string

beforeAll(async () => {
  server = await startTestServer()
  const cast = await addCast(server)
  shop = basic('shop', cast.shop)
  token = (await obtainTokens(server, { id: 'shop', secret: cast.shop })).body.access_token
  await server.addClient({ id: 'app', kind: 'native', authMethod: 'none', redirectUris: ['com.example.app:/cb'] })
})
afterAll(() => server.stop())

type Ask = (origin: string) => Promise<Response>
const post =
  (path: string, body: Record<string, string>, headers = shop): Ask =>
  (origin) =>
    fetch(`${server.issuer}${path}`, {
      method: 'POST',
      body: new URLSearchParams(body),
      headers: { ...headers, origin },
    })

// Each endpoint with a request that succeeds when the origin may ask.
const endpoints: readonly [string, () => Ask][] = [
  ['/token', () => post('/token', { grant_type: 'client_credentials', resource: 'https://orders.example.com' })],
  ['/introspect', () => post('/introspect', { token })],
  ['/revoke', () => post('/revoke', { token: 'gth_at_unknown' })],
  [
    '/userinfo',
    () => (origin) => fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}`, origin } }),
  ],
]

const preflight = (path: string, origin: string) =>
  fetch(`${server.issuer}${path}`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  })

/** What a browser would let a page of this origin read. */
const grants = ({ headers }: Response) => headers.get('access-control-allow-origin')

describe.each(endpoints)('S-009 %s', (path, request) => {
  it('S-009 answers a page of the client', async () => {
    const asked = await preflight(path, OWN)
    expect([asked.status, grants(asked)]).toEqual([204, OWN])
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/authorization/i)
    const answer = await request()(OWN)
    expect([answer.status, grants(answer)]).toEqual([200, OWN])
    expect(answer.headers.get('vary')).toMatch(/origin/i)
    expect(answer.headers.get('access-control-expose-headers')).not.toMatch(/cookie/i)
  })

  it.each(OTHERS)('S-009 refuses a page of %s, and tells it nothing', async (origin) => {
    const answer = await request()(origin)
    expect([answer.status, grants(answer)]).toEqual([400, null])
    expect(await answer.text()).not.toMatch(/access_token|"active"|"sub"/)
  })

  it('S-009 an opaque origin is refused already before it asks', async () => {
    const asked = await preflight(path, 'null')
    expect([asked.headers.has('access-control-allow-origin'), await asked.text()]).toEqual([false, ''])
  })
})

it.each(OPEN)('S-009 %s may be read by every page', async (path) => {
  for (const origin of [OWN, ...OTHERS]) {
    const asked = await preflight(path, origin)
    expect([asked.status, grants(asked)]).toEqual([204, origin])
    const answer = await fetch(`${server.issuer}${path}`, { headers: { origin } })
    expect([answer.status, grants(answer), answer.headers.get('vary')]).toEqual([
      200,
      origin,
      expect.stringMatching(/origin/i),
    ])
  }
  expect(grants(await fetch(`${server.issuer}${path}`))).toBe('*')
})

it('S-009 pages are for people: no page of another origin reads them', async () => {
  for (const path of [
    '/',
    '/authorize?client_id=shop',
    '/interaction/x',
    '/logout',
    '/set-password?token=x',
    '/nowhere',
  ]) {
    const answer = await fetch(`${server.issuer}${path}`, { headers: { origin: OWN }, redirect: 'manual' })
    expect([path, grants(answer)]).toEqual([path, null])
    expect([path, grants(await preflight(path, OWN))]).toEqual([path, null])
  }
})

it('S-009 a native app’s scheme is no origin: it opens nothing to opaque ones', async () => {
  const form = {
    grant_type: 'authorization_code',
    client_id: 'app',
    code: 'x',
    code_verifier: 'x',
    redirect_uri: 'com.example.app:/cb',
  }
  const answer = await post('/token', form, {})('null')
  expect([answer.status, grants(answer), await answer.text()]).toEqual([
    400,
    null,
    expect.stringMatching(/origin null/),
  ])
})

it('S-009 no answer lets a browser send its cookies along', async () => {
  for (const origin of [OWN, ...OTHERS]) {
    for (const path of [...OPEN, ...endpoints.map(([name]) => name), '/', '/logout']) {
      const plain = await fetch(`${server.issuer}${path}`, { headers: { origin } })
      for (const { headers } of [plain, await preflight(path, origin)])
        expect([origin, path, headers.get('access-control-allow-credentials')]).toEqual([origin, path, null])
    }
  }
})
