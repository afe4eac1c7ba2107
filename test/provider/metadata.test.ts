// Metadata is a promise: everything in it works, nothing that is not in it does, and it is the same everywhere
// (SECURITY S-016 to S-018; RFC 8414, RFC 9207).
import { randomUUID } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { createBrowser } from '../helpers/browser.ts'
import {
  authorizeUrl,
  basic,
  introspect,
  obtainCode,
  obtainTokens,
  passPages,
  pkce,
  post,
  redeem,
  refresh,
} from '../helpers/flow.ts'
import { send } from '../helpers/process.ts'
import { createProver } from '../helpers/prover.ts'
import { addCast, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

const OIDC = '/.well-known/openid-configuration'
const OAUTH = '/.well-known/oauth-authorization-server'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
// biome-ignore lint/suspicious/noExplicitAny: a document of many shapes
let metadata: any
const shop = () => ({ id: 'shop', secret: cast.shop })
const billing = () => ({ id: 'billing', secret: cast.billing })
const api = () => ({ id: 'orders-api', secret: cast.api })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addClient({ id: 'modal', firstParty: true, responseModes: ['query', 'fragment', 'form_post'] })
  metadata = await (await fetch(`${server.issuer}${OIDC}`)).json()
})
afterAll(() => server.stop())

const ask = (params: Record<string, string | undefined>, client = 'shop') =>
  authorizeUrl(server, client, pkce().challenge, params)
describe('S-016 the issuer', () => {
  it('S-016 is the same bytes in metadata, answers and tokens of every kind', async () => {
    const { answer, ...code } = await obtainCode(server, 'shop', { scope: 'openid orders:read' })
    const jwt = await redeem(server, shop(), code)
    const opaque = await obtainTokens(server, shop(), { scope: 'openid things:read', resource: THINGS })
    const machine = await post(server, '/token', { grant_type: 'client_credentials' }, billing())
    const refused = await createBrowser(server.issuer).request(ask({ prompt: 'none' }))
    const said = {
      metadata: metadata.issuer,
      answer: answer.searchParams.get('iss'),
      refusal: new URL(refused.headers.get('location')!).searchParams.get('iss'),
      idToken: decodeJwt(jwt.body.id_token).iss,
      accessToken: decodeJwt(jwt.body.access_token).iss,
      machineToken: decodeJwt(machine.body.access_token).iss,
      introspection: (await introspect(server, api(), jwt.body.access_token)).iss,
      ofOpaque: (await introspect(server, api(), opaque.body.access_token)).iss,
      ofRefresh: (await introspect(server, shop(), opaque.body.refresh_token)).iss,
    }
    expect(said).toEqual(Object.fromEntries(Object.keys(said).map((where) => [where, server.rooms.config.issuer])))
  })

  it('S-016 does not change behind a proxy with another name, nor with a slash in the setting', async () => {
    const issuer = 'https://login.example.com'
    const env = { GATEHOUSE_ISSUER: `${issuer}/`, GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1,::1' }
    const behind = await startTestServer({ database: server.database, env })
    try {
      const headers = { host: 'inside:8080', 'x-forwarded-host': 'login.example.com', 'x-forwarded-proto': 'https' }
      const { port } = behind.rooms.config
      const { body } = await send(port, OIDC, { headers })
      const basic = `Basic ${Buffer.from(`billing:${cast.billing}`).toString('base64')}`
      const form = { grant_type: 'client_credentials' }
      const issued = await send(port, '/token', { form, headers: { ...headers, authorization: basic } })
      expect([body.issuer, decodeJwt(String(issued.body.access_token)).iss]).toEqual([issuer, issuer])
      for (const [name, value] of Object.entries(body))
        if (/_endpoint$|_uri$/.test(name))
          expect([name, value]).toEqual([name, expect.stringMatching(/^https:\/\/login\.example\.com\//)])
    } finally {
      await behind.stop()
    }
  })
})

it('S-017 the documents of OpenID Connect and of RFC 8414 are there, and the same', async () => {
  const [one, other] = await Promise.all([OIDC, OAUTH].map((path) => fetch(`${server.issuer}${path}`)))
  expect([one!.status, other!.status]).toEqual([200, 200])
  expect([one!.headers.get('content-type'), other!.headers.get('content-type')]).toEqual(
    Array(2).fill('application/json; charset=utf-8'),
  )
  expect(await other!.json()).toEqual(metadata)
  expect(Object.keys(metadata).length).toBeGreaterThan(15)
})

describe('S-018 what is promised is kept', () => {
  it('S-018 every member of the document is one that is looked at here', () => {
    // Whoever adds a feature adds it to this list, and a test below.
    expect(metadata).toEqual({
      issuer: server.issuer,
      authorization_endpoint: `${server.issuer}/authorize`,
      token_endpoint: `${server.issuer}/token`,
      jwks_uri: `${server.issuer}/jwks`,
      userinfo_endpoint: `${server.issuer}/userinfo`,
      introspection_endpoint: `${server.issuer}/introspect`,
      revocation_endpoint: `${server.issuer}/revoke`,
      end_session_endpoint: `${server.issuer}/logout`,
      pushed_authorization_request_endpoint: `${server.issuer}/par`,
      response_types_supported: ['code'],
      response_modes_supported: ['form_post', 'fragment', 'query'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      code_challenge_methods_supported: ['S256'],
      scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
      claims_supported: ['sub', 'name', 'email', 'email_verified', 'auth_time', 'iss'],
      claim_types_supported: ['normal'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: [
        'client_secret_basic',
        'client_secret_post',
        'client_secret_jwt',
        'private_key_jwt',
        'none',
      ],
      token_endpoint_auth_signing_alg_values_supported: ['ES256', 'RS256', 'PS256', 'EdDSA', 'HS256'],
      dpop_signing_alg_values_supported: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      authorization_response_iss_parameter_supported: true,
      claims_parameter_supported: false,
      request_uri_parameter_supported: false,
    })
  })

  it('S-018 each grant gives tokens, and each endpoint takes them', async () => {
    const code = await obtainTokens(server, shop(), { scope: 'openid things:read', resource: THINGS })
    const renewed = await refresh(server, shop(), code.body.refresh_token)
    const machine = await post(server, '/token', { grant_type: 'client_credentials' }, billing())
    expect([renewed.status, machine.status]).toEqual([200, 200])
    const at = (name: string) => new URL(metadata[name]).pathname
    expect(
      (await post(server, at('introspection_endpoint'), { token: renewed.body.access_token }, api())).body.active,
    ).toBe(true)
    const userinfo = await fetch(metadata.userinfo_endpoint, {
      headers: { authorization: `Bearer ${renewed.body.access_token}` },
    })
    expect(await userinfo.json()).toEqual({ sub: cast.ada })
    expect((await post(server, at('revocation_endpoint'), { token: renewed.body.access_token }, shop())).status).toBe(
      200,
    )
    expect((await introspect(server, api(), renewed.body.access_token)).active).toBe(false)
    const page = await code.browser.open(metadata.end_session_endpoint)
    await code.browser.press(page, 'yes')
    expect((await code.browser.open(ask({ prompt: 'none' }))).url.searchParams.get('error')).toBe('login_required')
  })

  it('S-018 each response mode carries a code', async () => {
    const said: Record<string, string | null | undefined> = {}
    for (const mode of metadata.response_modes_supported as string[]) {
      const browser = createBrowser(server.issuer)
      const page = await passPages(browser, await browser.open(ask({ response_mode: mode }, 'modal')))
      const { searchParams, hash } = page.url
      const posted = page.left ? '' : (await browser.press(page, '')).html
      said[mode] =
        { query: searchParams, fragment: new URLSearchParams(hash.slice(1)) }[mode]?.get('code') ??
        new URLSearchParams(posted).get('code')
    }
    const code = expect.stringMatching(/^gth_ac_/)
    expect(said).toEqual({ form_post: code, fragment: code, query: code })
  })

  it('S-018 each scope and each claim is to be had, and nothing beyond', async () => {
    const scope = metadata.scopes_supported.join(' ')
    const tokens = await obtainTokens(server, shop(), {
      scope: `${scope} phone address`,
      prompt: 'consent',
      max_age: '600',
    })
    expect(tokens.body.scope?.split(' ').sort()).toEqual([...metadata.scopes_supported].sort())
    const headers = { authorization: `Bearer ${tokens.body.access_token}` }
    const userinfo = (await (await fetch(metadata.userinfo_endpoint, { headers })).json()) as object
    const { aud, exp, iat, at_hash, nonce, ...told } = decodeJwt(tokens.body.id_token)
    expect([...new Set([...Object.keys(told), ...Object.keys(userinfo)])].sort()).toEqual(
      [...metadata.claims_supported].sort(),
    )
  })

  it('S-018 the subject is public: the same for every app', async () => {
    const other = await obtainTokens(server, { id: 'spa' })
    const { id_token } = (await obtainTokens(server, shop())).body
    expect([decodeJwt(id_token).sub, decodeJwt(other.body.id_token).sub]).toEqual([cast.ada, cast.ada])
    expect(metadata.id_token_signing_alg_values_supported).toEqual([decodeProtectedHeader(id_token).alg])
  })

  it('S-018 each way of client authentication is taken', async () => {
    const secret = await server.addClient({ id: 'posting', authMethod: 'client_secret_post' })
    const form = { grant_type: 'client_credentials', resource: ORDERS }
    expect((await post(server, '/token', form, shop())).status).toBe(200)
    expect((await post(server, '/token', { ...form, client_id: 'posting', client_secret: secret })).status).toBe(200)
    expect((await obtainTokens(server, { id: 'spa' })).status).toBe(200)
    const taken: string[] = []
    for (const alg of [
      ...metadata.token_endpoint_auth_signing_alg_values_supported,
      'ES384',
      'RS512',
      'HS384',
      'HS512',
    ]) {
      if ((await signIn(alg)).status === 200) taken.push(alg)
    }
    expect(taken).toEqual(metadata.token_endpoint_auth_signing_alg_values_supported)
  })

  it('S-018 proofs of possession are taken by the algorithms that are named', async () => {
    const taken: string[] = []
    for (const alg of [...metadata.dpop_signing_alg_values_supported, 'ES384', 'RS512', 'ES512']) {
      const prover = await createProver(alg)
      const response = await fetch(metadata.token_endpoint, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
        headers: { ...basic('billing', cast.billing), DPoP: await prover.prove('POST', metadata.token_endpoint) },
      })
      if (response.status === 200) taken.push(alg)
    }
    expect(taken).toEqual(metadata.dpop_signing_alg_values_supported)
  })

  /** @returns the key of a new client that signs with this algorithm, by a key of its own or by its secret */
  async function addSigner(id: string, alg: string) {
    if (alg.startsWith('HS')) return Buffer.from(await server.addClient({ id, authMethod: 'client_secret_jwt' }))
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg, kid: 'k' }] }
    await server.addClient({ id, authMethod: 'private_key_jwt', jwks })
    return privateKey
  }

  async function signIn(alg: string) {
    const id = `signs-${alg}`
    const key = await addSigner(id, alg)
    const at = Math.floor(Date.now() / 1000)
    const client_assertion = await new SignJWT({
      iss: id,
      sub: id,
      aud: server.issuer,
      iat: at,
      exp: at + 60,
      jti: randomUUID(),
    })
      .setProtectedHeader({ alg, ...(!alg.startsWith('HS') && { kid: 'k' }) })
      .sign(key)
    const form = {
      grant_type: 'client_credentials',
      resource: ORDERS,
      client_assertion,
      client_assertion_type: JWT_BEARER,
    }
    return post(server, '/token', form)
  }
})
