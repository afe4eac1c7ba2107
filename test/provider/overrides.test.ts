// The contract of each change that `provider/overrides.ts` makes to the library. A new version of the library that no longer
// asks where we answer turns one of these red.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { clientMetadata } from '../../src/provider/client-metadata.ts'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, obtainTokens, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { send } from '../helpers/process.ts'
import { createProver } from '../helpers/prover.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'
import { createSigner, type Signer } from '../helpers/signer.ts'
import { statementsOf } from '../helpers/statements.ts'

const OPAQUE = (kind: string) => expect.stringMatching(new RegExp(`^gth_${kind}_[0-9A-Za-z]{40,}$`))

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let signer: Signer
const shop = () => ({ id: 'shop', secret: cast.shop })
const spa = { id: 'spa' }

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  signer = await createSigner(server.issuer, 'signer')
  await server.addClient({ id: 'signer', authMethod: 'private_key_jwt', jwks: signer.jwks })
  const loopback = ['http://localhost:4000/cb', 'http://127.0.0.1:4000/cb']
  await server.addClient({
    id: 'native',
    kind: 'native',
    authMethod: 'none',
    redirectUris: loopback,
    postLogoutRedirectUris: loopback,
  })
})
afterAll(() => server.stop())

const ask = (client: string, params: Record<string, string | undefined>) =>
  createBrowser(server.issuer).request(authorizeUrl(server, client, pkce().challenge, params))

describe('the library is the one that was read', () => {
  // Every copy that npm installs, nested ones included.
  const root = join(import.meta.dirname, '../..')
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string }>
  }
  const copies = (name: string) => Object.keys(lock.packages).filter((path) => path.endsWith(`node_modules/${name}`))
  const installed = (path: string): string => JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')).version

  it('oidc-provider is exactly 9.13.3: look at each override before changing this', () => {
    expect(copies('oidc-provider').map(installed)).toEqual(['9.13.3'])
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(dependencies['oidc-provider']).toBe('9.13.3')
  })
})

it('compareSecretsByHash: our hash decides, not the secret that the library knows', async () => {
  const form = { grant_type: 'client_credentials', resource: ORDERS }
  expect((await post(server, '/token', form, shop())).status).toBe(200)
  const client = await server.rooms.clients.find('shop')
  const placeholder = clientMetadata(client!, server.rooms.ring).client_secret!
  expect(placeholder.length).toBeGreaterThan(30)
  expect((await post(server, '/token', form, { id: 'shop', secret: placeholder })).status).toBe(401)
  // Right, but not by the way that was registered.
  const inBody = { ...form, client_id: 'shop', client_secret: cast.shop }
  expect((await post(server, '/token', inBody)).body.error).toBe('invalid_client')
})

describe('mintOurOwnIds', () => {
  it('codes, opaque tokens and refresh tokens are spelled our way', async () => {
    const got = await obtainCode(server, 'shop', { scope: 'openid things:read' })
    const { body } = await redeem(server, shop(), got)
    expect([got.code, body.access_token, body.refresh_token]).toEqual([OPAQUE('ac'), OPAQUE('at'), OPAQUE('rt')])
    const machine = await post(server, '/token', { grant_type: 'client_credentials', resource: THINGS }, shop())
    expect(machine.body.access_token).toEqual(OPAQUE('at'))
  })

  it('a JWT is left a JWT, with an id of its own', async () => {
    const { body } = await obtainTokens(server, shop(), { scope: 'openid orders:read' })
    const { jti } = decodeJwt(body.access_token)
    expect([typeof jti, jti!.startsWith('gth_'), jti!.length > 20]).toEqual(['string', false, true])
  })

  it('a refresh token has one successor, however often it is asked for at once', async () => {
    const { body } = await obtainTokens(server, spa, { scope: 'openid things:read' })
    const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(server, spa, body.refresh_token)))
    const successors = new Set(answers.map((answer) => answer.body.refresh_token))
    expect([...successors]).toEqual([OPAQUE('rt')])
    expect(successors.has(body.refresh_token)).toBe(false)
  })
})

it('seeReplaysOnce: a proof that comes with a code is noted once, and before the code is used up', async () => {
  const got = await obtainCode(server, 'spa')
  const prover = await createProver()
  const form = { grant_type: 'authorization_code', code: got.code, code_verifier: got.verifier, redirect_uri: CALLBACK }
  const body = new URLSearchParams({ ...form, client_id: 'spa' })
  const headers = { DPoP: await prover.prove('POST', `${server.issuer}/token`) }
  const statements = await statementsOf(async () => {
    const answer = await fetch(`${server.issuer}/token`, { method: 'POST', body, headers })
    expect(await answer.json()).toMatchObject({ token_type: 'DPoP' })
  })
  const order = statements.flatMap(
    (text) => /^insert into replays|savepoint|^update "authorization_codes"/.exec(text) ?? [],
  )
  expect(order).toEqual(['insert into replays', 'savepoint', 'update "authorization_codes"'])
})

it('seeReplaysOnce: of many uses of one assertion, one', async () => {
  const form = { grant_type: 'client_credentials', resource: ORDERS, ...(await signer.assert()) }
  const answers = await Promise.all(Array.from({ length: 10 }, () => post(server, '/token', form)))
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)])
})

it('varyPortsOfAddressesOnly: any port of 127.0.0.1, but of localhost the one that is registered', async () => {
  const statuses: Record<string, number> = {}
  for (const at of ['127.0.0.1:5000', '127.0.0.1:4000', 'localhost:4000', 'localhost:5000'])
    statuses[at] = (await ask('native', { redirect_uri: `http://${at}/cb` })).status
  expect(statuses).toEqual({
    '127.0.0.1:5000': 303,
    '127.0.0.1:4000': 303,
    'localhost:4000': 303,
    'localhost:5000': 400,
  })
  const leave = (at: string) =>
    fetch(`${server.issuer}/logout?client_id=native&post_logout_redirect_uri=http://${at}/cb`)
  expect([(await leave('localhost:4000')).status, (await leave('localhost:5000')).status]).toEqual([200, 400])
})

it('judgeTypesBeforeModes: a response type that nobody gets is called that, not a wrong mode', async () => {
  for (const type of ['token', 'id_token token']) {
    const { search, hash } = new URL((await ask('shop', { response_type: type, nonce: 'n' })).headers.get('location')!)
    expect(new URLSearchParams(search || hash.slice(1)).get('error')).toBe('unsupported_response_type')
  }
  const mode = await ask('shop', { response_mode: 'fragment' })
  expect(mode.headers.get('location')).toMatch(/error=(invalid_request|unsupported_response_mode)/)
})

it('pinUrls: addresses come from the issuer, not from the Host header that a proxy passes on', async () => {
  const env = { GATEHOUSE_ISSUER: 'https://login.example.com', GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1,::1' }
  const behind = await startTestServer({ database: server.database, env })
  try {
    const headers = { host: 'inside:8080', 'x-forwarded-host': 'login.example.com', 'x-forwarded-proto': 'https' }
    const get = (path: string) => send(behind.rooms.config.port, path, { headers: { ...headers, accept: 'text/html' } })
    const { text } = await get('/.well-known/openid-configuration')
    expect(text).toContain('"token_endpoint":"https://login.example.com/token"')
    expect(text).not.toContain('inside')
    expect((await get('/logout')).text).toContain('action="https://login.example.com/logout/confirm"')
    // Where a login goes back to is kept with the request.
    const { headers: sent } = await get(authorizeUrl(server, 'shop', pkce().challenge).href.slice(server.issuer.length))
    const uid = String(sent.location).split('/').pop()!
    expect((await behind.rooms.sessions.interactions.find(uid))?.returnTo).toBe(
      `https://login.example.com/authorize/${uid}`,
    )
  } finally {
    await behind.stop()
  }
})

it.each([
  ['too long', 'x'.repeat(2049), /state is too long/],
  ['unfit for a database', 'a\0b', /state has a character that is not allowed/],
])('limitParameters: a value that is %s is refused at once, and not carried on', async (_what, state, words) => {
  const answer = await ask('shop', { state })
  expect([answer.status, answer.headers.get('location'), await answer.text()]).toEqual([
    400,
    null,
    expect.stringMatching(words),
  ])
  const scope = await post(
    server,
    '/token',
    { grant_type: 'client_credentials', scope: state },
    { id: 'nobody', secret: 'x' },
  )
  expect(scope.body.error_description).toMatch(/^scope (is too long|has a character)/)
})

describe('keepOpenIdScopes', () => {
  const scopes = (token: string) => (decodeJwt(token).scope as string).split(' ').sort()

  it('openid stays on a token for an API, offline_access does not', async () => {
    const scope = 'openid email offline_access orders:read'
    const { body } = await obtainTokens(server, shop(), { scope, prompt: 'consent' })
    expect(scopes(body.access_token)).toEqual(['email', 'openid', 'orders:read'])
    const next = await refresh(server, shop(), body.refresh_token)
    expect(scopes(next.body.access_token)).toEqual(['email', 'openid', 'orders:read'])
    const less = await refresh(server, shop(), body.refresh_token, { scope: 'orders:read' })
    expect(scopes(less.body.access_token)).toEqual(['orders:read'])
  })

  it('it is not added where it was not asked for', async () => {
    const { body } = await obtainTokens(server, shop(), { scope: 'orders:read' })
    expect(scopes(body.access_token)).toEqual(['orders:read'])
    expect(body.id_token).toBeUndefined()
  })
})

describe('acceptApiTokensAtUserinfo', () => {
  const userinfo = async (token: string) => {
    const answer = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
    return [answer.status, ((await answer.json()) as { sub?: string }).sub]
  }

  it.each([
    ['a JWT', 'openid orders:read'],
    ['an opaque token', 'openid things:read'],
    ['a token for nothing else', 'openid'],
  ])('%s that carries openid is answered, until it is revoked', async (_what, scope) => {
    const { body } = await obtainTokens(server, shop(), { scope })
    expect(await userinfo(body.access_token)).toEqual([200, cast.ada])
    await post(server, '/revoke', { token: body.access_token }, shop())
    expect(await userinfo(body.access_token)).toEqual([401, undefined])
  })

  it.each(['orders:read', 'things:read'])('a token for %s alone is not', async (scope) => {
    const { body } = await obtainTokens(server, shop(), { scope })
    expect((await introspect(server, { id: 'orders-api', secret: cast.api }, body.access_token)).active).toBe(true)
    const [status, sub] = await userinfo(body.access_token)
    expect([Number(status) >= 401, sub]).toEqual([true, undefined])
  })

  it('a JWT of a machine, an ID token, or one that was changed is not', async () => {
    const machine = await post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, shop())
    const { body } = await obtainTokens(server, shop(), { scope: 'openid orders:read' })
    const changed = body.access_token.replace(/\.[^.]/, (start) => (start === '.A' ? '.B' : '.A'))
    for (const token of [machine.body.access_token, body.id_token, changed])
      expect(await userinfo(token)).toEqual([401, undefined])
  })
})
