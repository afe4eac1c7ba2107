// What the metadata does not promise is refused, and not merely undocumented (SECURITY S-018).
import { randomUUID } from 'node:crypto'
import { decodeJwt, SignJWT } from 'jose'
import { readClientFields } from '../../src/clients/fields.ts'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, obtainTokens, pkce, post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

/** What the app hears of a request that goes no further. */
async function errorOf(params: Record<string, string | undefined>): Promise<string | null> {
  const answer = await createBrowser(server.issuer).request(authorizeUrl(server, 'shop', pkce().challenge, params))
  const { search, hash } = new URL(answer.headers.get('location') ?? '', server.issuer)
  return new URLSearchParams(search || hash.slice(1)).get('error')
}

describe('what is not promised is refused', () => {
  it('S-018 other response types, modes and challenges', async () => {
    for (const type of ['token', 'id_token', 'code id_token', 'none'])
      expect([type, await errorOf({ response_type: type, nonce: 'n' })]).toEqual([type, 'unsupported_response_type'])
    for (const mode of ['jwt', 'query.jwt', 'form_post.jwt', 'web_message'])
      expect([mode, await errorOf({ response_mode: mode })]).toEqual([mode, 'unsupported_response_mode'])
    for (const method of ['plain', 's256', 'S512', ''])
      expect([method, await errorOf({ code_challenge_method: method })]).toEqual([method, 'invalid_request'])
    expect(await errorOf({ code_challenge: undefined, code_challenge_method: undefined })).toBe('invalid_request')
  })

  it('S-018 request objects, and requests by reference', async () => {
    expect(await errorOf({ request: 'e30.e30.' })).toBe('request_not_supported')
    expect(await errorOf({ request_uri: 'https://shop.example.com/r' })).toBe('request_uri_not_supported')
    expect(await errorOf({ registration: '{}' })).toBe('registration_not_supported')
    const claims = JSON.stringify({ id_token: { email: { essential: true }, sid: null }, userinfo: { name: null } })
    const { id_token } = (await obtainTokens(server, shop(), { claims })).body
    expect(Object.keys(decodeJwt(id_token))).toEqual(expect.not.arrayContaining(['email', 'sid', 'name']))
  })

  it.each([
    'password',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'urn:openid:params:grant-type:ciba',
  ])('S-018 the grant %s', async (grant_type) => {
    const form = {
      grant_type,
      username: 'ada@example.com',
      password: 'x',
      device_code: 'x',
      subject_token: 'x',
      auth_req_id: 'x',
    }
    expect((await post(server, '/token', form, shop())).body.error).toBe('unsupported_grant_type')
  })

  it.each(['tls_client_auth', 'self_signed_tls_client_auth', 'attest_jwt_client_auth'])(
    'S-018 client authentication by %s',
    (auth) => {
      const client = { id: 'x', name: 'X', kind: 'service', auth }
      expect(readClientFields(client)).toMatchObject({ ok: false, faults: [{ path: ['auth'] }] })
    },
  )

  it('S-018 an assertion that is signed by a secret which only its hash is kept of, or not at all', async () => {
    const at = Math.floor(Date.now() / 1000)
    const claims = { iss: 'shop', sub: 'shop', aud: server.issuer, iat: at, exp: at + 60, jti: randomUUID() }
    const bySecret = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(cast.shop))
    const encoded = [{ alg: 'none' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    for (const client_assertion of [bySecret, `${encoded.join('.')}.`]) {
      const form = {
        grant_type: 'client_credentials',
        resource: ORDERS,
        client_assertion,
        client_assertion_type: JWT_BEARER,
      }
      expect((await post(server, '/token', form)).body.error).toBe('invalid_client')
    }
  })

  it('S-018 addresses of features that are off', async () => {
    for (const path of [
      '/request',
      '/register',
      '/reg',
      '/device_authorization',
      '/device',
      '/device/auth',
      '/backchannel',
      '/credential',
      '/challenge',
    ])
      for (const method of ['GET', 'POST'])
        expect([method, path, (await fetch(`${server.issuer}${path}`, { method })).status]).toEqual([method, path, 404])
  })

  it('S-018 a token that is asked for without a proof stays a bearer token', async () => {
    const { body } = await post(
      server,
      '/token',
      { grant_type: 'client_credentials', dpop_jkt: 'x'.repeat(43) },
      { id: 'billing', secret: cast.billing },
    )
    expect([body.token_type, decodeJwt(body.access_token).cnf]).toEqual(['Bearer', undefined])
  })
})
