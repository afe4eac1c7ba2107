// Tokens that are bound to a key of their client (DPoP, RFC 9449, SECURITY S-118 to S-123).
import { decodeJwt, exportJWK, generateKeyPair, generateSecret, type JWTPayload } from 'jose'
import { pino } from 'pino'
import { routeMapOf } from '../../src/vocabulary/route-map.ts'
import { createAuthorizer } from '../../src/wire-tour.ts'
import { createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, basic, introspect, obtainCode, passPages, pkce, type TokenAnswer } from '../helpers/flow.ts'
import { httpEvent } from '../helpers/gateway-events.ts'
import { createProver, type Prover } from '../helpers/prover.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let prover: Prover
const tokenUrl = () => `${server.issuer}/token`
const MACHINE = { grant_type: 'client_credentials' }

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  prover = await createProver()
})
afterAll(() => server.stop())
afterEach(() => releaseClock())

async function ask(
  form: Record<string, string>,
  proof?: string,
  client: [string, string?] = ['billing', cast.billing],
) {
  const [id, secret] = client
  const response = await fetch(tokenUrl(), {
    method: 'POST',
    body: new URLSearchParams({ ...form, ...(secret === undefined && { client_id: id }) }),
    headers: { ...(secret !== undefined && basic(id, secret)), ...(proof !== undefined && { DPoP: proof }) },
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as TokenAnswer['body'] }
}

async function userinfo(scheme: string, token: string, proof?: string) {
  const response = await fetch(`${server.issuer}/userinfo`, {
    headers: { authorization: `${scheme} ${token}`, ...(proof !== undefined && { DPoP: proof }) },
  })
  return { status: response.status, challenge: response.headers.get('www-authenticate') }
}

/** A person's tokens, for a client whose proofs `by` makes. */
async function redeemWith(by: Prover | undefined, client: [string, string?], params: Record<string, string> = {}) {
  const { code, verifier } = await obtainCode(server, client[0], { scope: 'openid things:read', ...params })
  const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK }
  return ask(form, by && (await by.prove('POST', tokenUrl())), client)
}

it('S-118 a proof makes a bound token of either form, and introspection tells the key', async () => {
  const { status, body } = await ask(MACHINE, await prover.prove('POST', tokenUrl()))
  expect([status, body.token_type, decodeJwt(body.access_token).cnf]).toEqual([200, 'DPoP', { jkt: prover.jkt }])
  const api = { id: 'orders-api', secret: cast.api }
  const told = { active: true, token_type: 'DPoP', cnf: { jkt: prover.jkt } }
  expect(await introspect(server, api, body.access_token)).toMatchObject(told)
  const opaque = await redeemWith(prover, ['shop', cast.shop])
  expect(opaque.body.access_token).toMatch(/^gth_at_/)
  expect(await introspect(server, api, opaque.body.access_token)).toMatchObject(told)
  const facts = await server.database.pool().query('select facts::text from token_facts')
  expect(JSON.stringify(facts.rows)).not.toContain(prover.jkt)
})

describe('S-118 what is no proof for this request', () => {
  const good = (changed: JWTPayload, options?: Parameters<Prover['prove']>[3]) =>
    prover.prove('POST', tokenUrl(), changed, options)

  it.each<[string, () => Promise<string>]>([
    ['another method', () => good({ htm: 'GET' })],
    ['no method', () => good({ htm: undefined })],
    ['another address', () => good({ htu: `${server.issuer}/par` })],
    ['another server', () => good({ htu: 'https://evil.example/token' })],
    ['no address', () => good({ htu: undefined })],
    ['no time', () => good({ iat: undefined })],
    ['a time that is text', () => good({ iat: 'now' as never })],
    ['no jti', () => good({ jti: undefined })],
    ['no key', () => good({}, { header: { jwk: undefined } })],
    [
      'the private key along with it',
      async () => {
        const { privateKey } = await generateKeyPair('ES256', { extractable: true })
        return good({}, { header: { jwk: await exportJWK(privateKey) }, key: privateKey })
      },
    ],
    ['the signature of another key', async () => good({}, { key: (await generateKeyPair('ES256')).privateKey })],
    [
      'a symmetric algorithm',
      async () => {
        const key = await generateSecret('HS256', { extractable: true })
        return good({}, { header: { alg: 'HS256', jwk: await exportJWK(key) }, key })
      },
    ],
    [
      'no signature',
      async () => {
        const [, payload] = (await good({})).split('.')
        const header = { alg: 'none', typ: 'dpop+jwt', jwk: {} }
        return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.`
      },
    ],
    ['another type', () => good({}, { header: { typ: 'JWT' } })],
    ['text that is no JWT', async () => 'x'],
    ['two proofs', async () => `${await good({})}, ${await good({})}`],
    ['a nonce that is no text', () => good({ nonce: 1 as never })],
  ])('S-118 a proof with %s is refused', async (_what, make) => {
    const { status, body } = await ask(MACHINE, await make())
    expect([status, body.error, body.access_token]).toEqual([400, 'invalid_dpop_proof', undefined])
  })

  it('S-118 a proof of long ago, or of the time to come, is refused, with a nonce to do better', async () => {
    for (const seconds of [-400, 400, 86_400]) {
      const iat = Math.floor(Date.now() / 1000) + seconds
      const { status, body, headers } = await ask(MACHINE, await good({ iat }))
      expect([status, body.error]).toEqual([400, 'use_dpop_nonce'])
      expect(headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/)
    }
  })
})

describe('S-119 a proof is good once', () => {
  it('S-119 at the token endpoint, at userinfo, and when somebody else tries', async () => {
    const proof = await prover.prove('POST', tokenUrl())
    expect((await ask(MACHINE, proof)).status).toBe(200)
    const again = await ask(MACHINE, proof)
    expect([again.status, again.body.error]).toEqual([400, 'invalid_grant'])
    const { access_token: token } = (await redeemWith(prover, ['shop', cast.shop])).body
    const shown = await prover.prove('GET', `${server.issuer}/userinfo`, { token })
    expect([await userinfo('DPoP', token, shown), await userinfo('DPoP', token, shown)]).toMatchObject([
      { status: 200 },
      { status: 401 },
    ])
  })

  it('S-119 one that is dated ahead is remembered for as long as it could be used', async () => {
    const proof = await prover.prove('POST', tokenUrl(), { iat: Math.floor(Date.now() / 1000) + 290 })
    expect((await ask(MACHINE, proof)).status).toBe(200)
    const { rows } = await server.database.pool().query('select max(expires_at) as until from replays')
    expect(rows[0].until.getTime()).toBeGreaterThan(Date.now() + 580_000)
  })
})

describe('S-120 nonces', () => {
  it('S-120 a client whose policy is to have one must, and hears which; an old one is refused', async () => {
    const secret = await server.addClient({ id: 'careful', dpop: 'nonce' })
    const client: [string, string] = ['careful', secret]
    const form = { ...MACHINE, resource: ORDERS }
    const first = await ask(form, await prover.prove('POST', tokenUrl()), client)
    expect([first.status, first.body.error]).toEqual([400, 'use_dpop_nonce'])
    const nonce = first.headers.get('dpop-nonce')!
    const withNonce = () => prover.prove('POST', tokenUrl(), { nonce })
    expect((await ask(form, await withNonce(), client)).status).toBe(200)
    const made = await ask(form, await prover.prove('POST', tokenUrl(), { nonce: 'x'.repeat(43) }), client)
    expect([made.status, made.body.error]).toEqual([400, 'use_dpop_nonce'])
    holdClock()
    passSeconds(400)
    const old = await ask(form, await withNonce(), client)
    expect([old.status, old.body.error]).toEqual([400, 'use_dpop_nonce'])
    expect(old.headers.get('dpop-nonce')).not.toBe(nonce)
  })

  it('S-120 a client that must prove cannot do without; others may', async () => {
    const secret = await server.addClient({ id: 'bound', dpop: 'required' })
    const form = { ...MACHINE, resource: ORDERS }
    const bare = await ask(form, undefined, ['bound', secret])
    expect([bare.status, bare.body.error]).toEqual([400, 'invalid_grant'])
    expect((await ask(form, await prover.prove('POST', tokenUrl()), ['bound', secret])).body.token_type).toBe('DPoP')
    expect((await ask(MACHINE)).body.token_type).toBe('Bearer')
  })
})

describe('S-121 a code can be bound before it is made', () => {
  it('S-121 by dpop_jkt: another key, or none, gets nothing for it', async () => {
    const other = await createProver()
    for (const by of [other, undefined]) {
      const { status, body } = await redeemWith(by, ['shop', cast.shop], { dpop_jkt: prover.jkt })
      expect([status, body.error]).toEqual([400, 'invalid_grant'])
    }
    expect((await redeemWith(prover, ['shop', cast.shop], { dpop_jkt: prover.jkt })).status).toBe(200)
  })

  it('S-121 by the proof that comes with a pushed request', async () => {
    const through = async (by: Prover) => {
      const { verifier, challenge } = pkce()
      const form = Object.fromEntries(authorizeUrl(server, 'spa', challenge).searchParams)
      const url = `${server.issuer}/par`
      const pushed = await fetch(url, {
        method: 'POST',
        body: new URLSearchParams(form),
        headers: { DPoP: await prover.prove('POST', url) },
      })
      const { request_uri } = (await pushed.json()) as { request_uri: string }
      const address = `${server.issuer}/authorize?${new URLSearchParams({ client_id: 'spa', request_uri })}`
      const browser = createBrowser(server.issuer)
      const page = await passPages(browser, await browser.open(address))
      const code = page.url.searchParams.get('code')!
      const redeeming = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK }
      return ask(redeeming, await by.prove('POST', tokenUrl()), ['spa'])
    }
    expect((await through(prover)).status).toBe(200)
    expect((await through(await createProver())).body.error).toBe('invalid_grant')
  })
})

describe('S-122 a bound token is no bearer token', () => {
  it('S-122 at userinfo', async () => {
    const url = `${server.issuer}/userinfo`
    for (const scope of ['openid', 'openid orders:read']) {
      const { access_token: token } = (await redeemWith(prover, ['shop', cast.shop], { scope })).body
      const other = await createProver()
      const refused: [string, string, string?][] = [
        ['Bearer', token],
        ['DPoP', token],
        ['Bearer', token, await prover.prove('GET', url, { token })],
        ['DPoP', token, await prover.prove('GET', url)],
        ['DPoP', token, await prover.prove('GET', url, { token: 'another' })],
        ['DPoP', token, await other.prove('GET', url, { token })],
      ]
      for (const given of refused) {
        const { status, challenge } = await userinfo(...given)
        expect([given[0], status === 400 || status === 401, challenge]).toEqual([
          given[0],
          true,
          expect.stringMatching(/^(DPoP|Bearer) /),
        ])
      }
      expect((await userinfo('DPoP', token, await prover.prove('GET', url, { token }))).status).toBe(200)
    }
    const { access_token: bearer } = (await redeemWith(undefined, ['shop', cast.shop])).body
    expect((await userinfo('DPoP', bearer, await prover.prove('GET', url, { token: bearer }))).status).toBe(401)
    expect((await userinfo('Bearer', bearer)).status).toBe(200)
  })

  it('S-122 at the authorizer, which checks no proofs', async () => {
    const decisions: { reason?: string }[] = []
    const routes = routeMapOf({ 'GET /orders': ['orders:read'] })
    const log = pino({ level: 'debug' }, { write: (line: string) => void decisions.push(JSON.parse(line)) })
    const authorizer = createAuthorizer(server.rooms.config, ORDERS, routes, log)
    const call = async (scheme: string, token: string) =>
      (await authorizer(httpEvent({ authorization: `${scheme} ${token}` }))) as { isAuthorized: boolean }
    const bound = (await ask(MACHINE, await prover.prove('POST', tokenUrl()))).body.access_token
    const bearer = (await ask(MACHINE)).body.access_token
    expect((await call('Bearer', bearer)).isAuthorized).toBe(true)
    expect((await call('Bearer', bound)).isAuthorized).toBe(false)
    expect(decisions.at(-1)).toMatchObject({ reason: 'proof-missing' })
    expect((await call('DPoP', bound)).isAuthorized).toBe(false)
  })
})

describe('S-123 refresh tokens', () => {
  const refresh = async (token: string, client: [string, string?], by?: Prover) =>
    ask({ grant_type: 'refresh_token', refresh_token: token }, by && (await by.prove('POST', tokenUrl())), client)

  it('S-123 that of a public client is bound to the key, and stays the same', async () => {
    const { refresh_token: token } = (await redeemWith(prover, ['spa'])).body
    for (const by of [await createProver(), undefined]) {
      const { status, body } = await refresh(token, ['spa'], by)
      expect([status, body.error]).toEqual([400, 'invalid_grant'])
    }
    for (let times = 0; times < 3; times++) {
      const { status, body } = await refresh(token, ['spa'], prover)
      expect([status, body.refresh_token, body.token_type]).toEqual([200, token, 'DPoP'])
    }
  })

  it('S-123 without a proof it is rotated as ever, and a confidential client may change its key', async () => {
    const { refresh_token: bearer } = (await redeemWith(undefined, ['spa'])).body
    expect((await refresh(bearer, ['spa'])).body.refresh_token).not.toBe(bearer)
    const { refresh_token: token } = (await redeemWith(prover, ['shop', cast.shop])).body
    const other = await createProver()
    const renewed = await refresh(token, ['shop', cast.shop], other)
    const told = await introspect(server, { id: 'orders-api', secret: cast.api }, renewed.body.access_token)
    expect([renewed.status, told.cnf]).toEqual([200, { jkt: other.jkt }])
  })
})

it('a proof in the browser: the nonce may be read by the page that asked', async () => {
  const origin = new URL(CALLBACK).origin
  const { code, verifier } = await obtainCode(server, 'spa', { resource: THINGS })
  const answer = await fetch(tokenUrl(), {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'spa',
      code,
      code_verifier: verifier,
      redirect_uri: CALLBACK,
    }),
    headers: { origin, DPoP: await prover.prove('POST', tokenUrl()) },
  })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('access-control-expose-headers')).toContain('DPoP-Nonce')
  expect(answer.headers.get('dpop-nonce')).toMatch(/^[\w-]{43}$/)
})
