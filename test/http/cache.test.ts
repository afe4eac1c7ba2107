// What may be kept by whom: answers about people and tokens by nobody, metadata and keys by everybody for a short time.
import { authorizeUrl, basic, obtainCode, obtainTokens, pkce } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

const PUBLIC = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/jwks']

let server: TestServer
let tokens: Awaited<ReturnType<typeof obtainTokens>>
let auth: Record<'shop' | 'api' | 'billing', Record<string, string>>

beforeAll(async () => {
  server = await startTestServer()
  const cast = await addCast(server)
  auth = {
    shop: basic('shop', cast.shop),
    api: basic('orders-api', cast.api),
    billing: basic('billing', cast.billing),
  }
  tokens = await obtainTokens(server, { id: 'shop', secret: cast.shop })
})
afterAll(() => server.stop())

const ask = (path: string, init: RequestInit = {}) => fetch(`${server.issuer}${path}`, { redirect: 'manual', ...init })
const post = (path: string, body: Record<string, string>, headers = {}) =>
  ask(path, { method: 'POST', body: new URLSearchParams(body), headers })
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('S-007 answers about tokens and people are kept by nobody', () => {
  const answers: readonly [string, number, () => Promise<Response>][] = [
    ['token', 200, () => post('/token', { grant_type: 'client_credentials' }, auth.billing)],
    ['token, wrong grant', 400, () => post('/token', { grant_type: 'password' }, auth.billing)],
    ['token, wrong secret', 401, () => post('/token', { grant_type: 'client_credentials' }, basic('billing', 'x'))],
    [
      'token, unread',
      400,
      () => ask('/token', { method: 'POST', body: '{}', headers: { 'content-type': 'text/json' } }),
    ],
    ['token, wrong method', 405, () => ask('/token')],
    ['introspection', 200, () => post('/introspect', { token: tokens.body.access_token }, auth.shop)],
    ['introspection, JWT', 200, () => post('/introspect', { token: 'e30.e30.e30' }, auth.api)],
    ['introspection, nothing asked', 400, () => post('/introspect', {}, auth.api)],
    ['introspection, stranger', 401, () => post('/introspect', { token: 'x' }, basic('shop', 'x'))],
    ['userinfo', 200, () => ask('/userinfo', { headers: bearer(tokens.body.access_token) })],
    ['userinfo, POST', 200, () => post('/userinfo', { access_token: tokens.body.access_token })],
    ['userinfo, wrong token', 401, () => ask('/userinfo', { headers: bearer('x') })],
    ['userinfo, two tokens', 400, () => post('/userinfo', { access_token: 'x' }, bearer('x'))],
    ['revocation', 200, () => post('/revoke', { token: 'gth_at_unknown' }, auth.shop)],
    ['revocation, JWT', 200, () => post('/revoke', { token: 'e30.e30.e30' }, auth.shop)],
    ['revocation, nothing asked', 400, () => post('/revoke', {}, auth.shop)],
    ['revocation, stranger', 401, () => post('/revoke', { token: 'x' }, basic('shop', 'x'))],
    ['authorization, refused', 400, () => ask(`/authorize?client_id=shop&code_challenge=${pkce().challenge}`)],
    ['nowhere', 404, () => ask('/nowhere')],
  ]
  it.each(answers)('S-007 %s (%i)', async (_name, status, open) => {
    const answer = await open()
    expect([answer.status, await answer.text()]).toEqual([status, expect.any(String)])
    expect(answer.headers.get('cache-control')?.split(/,\s*/)).toContain('no-store')
    expect([answer.headers.get('etag'), answer.headers.get('last-modified')]).toEqual([null, null])
  })

  it('S-007 the redirect that carries a code', async () => {
    const { browser } = await obtainCode(server, 'spa')
    const answer = await browser.request(authorizeUrl(server, 'spa', pkce().challenge))
    expect(answer.headers.get('location')).toContain('code=gth_ac_')
    expect(answer.headers.get('cache-control')).toContain('no-store')
  })
})

describe.each(PUBLIC)('S-008 %s', (path) => {
  it('S-008 is public for five minutes, by GET and by HEAD', async () => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(path, { method, headers: { cookie: 'a=b', authorization: 'Bearer x' } })
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'public, max-age=300'])
      expect(answer.headers.get('set-cookie')).toBeNull()
      expect(await answer.text()).toHaveLength(method === 'HEAD' ? 0 : Number(answer.headers.get('content-length')))
    }
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('S-008 refuses %s', async (method) => {
    const answer = await ask(path, { method })
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([405, 'no-store'])
    expect(answer.headers.get('allow')?.split(/,\s*/)).toEqual(expect.arrayContaining(['GET', 'HEAD']))
    expect(await answer.json()).not.toHaveProperty('keys')
  })
})

it('S-008 only what is there is kept: not its neighbour', async () => {
  for (const path of ['/jwks/', '/JWKS', '/.well-known/openid-configuration/x', '/.well-known/nothing']) {
    const answer = await ask(path)
    expect([path, answer.status, answer.headers.get('cache-control')]).toEqual([path, 404, 'no-store'])
  }
})
