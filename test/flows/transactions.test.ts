// One request, one transaction, opened at the first write: requests that only read open none, and what an ending, a refusal or a
// success writes is one commit with its audit entry.
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, obtainTokens, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'
import { statementsOf } from '../helpers/statements.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })
const api = () => ({ id: 'orders-api', secret: cast.api })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

const BOUNDS = /^(start transaction|begin|commit|rollback|savepoint)/i
const WRITES = /^\s*(with .*)?(insert into|update|delete from) /is
const get = (path: string, headers: Record<string, string> = {}) => fetch(`${server.issuer}${path}`, { headers })

it('requests that only read open no transaction and write nothing', async () => {
  const jwt = await obtainTokens(server, shop(), { scope: 'openid orders:read' })
  const opaque = await obtainTokens(server, shop(), { scope: 'openid things:read' }, jwt.browser)
  const bearer = { authorization: `Bearer ${opaque.body.access_token}` }
  const reads: [string, () => Promise<unknown>][] = [
    ['introspection of an opaque token', () => introspect(server, api(), opaque.body.access_token)],
    ['of a JWT', () => introspect(server, api(), jwt.body.access_token)],
    ['of a refresh token', () => introspect(server, shop(), jwt.body.refresh_token)],
    ['of nothing', () => introspect(server, api(), 'x')],
    ['userinfo', () => get('/userinfo', bearer)],
    [
      'client credentials to a JWT',
      () => post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, shop()),
    ],
    ['a wrong secret', () => post(server, '/token', { grant_type: 'client_credentials' }, { id: 'shop', secret: 'x' })],
    ['a code that is none', () => redeem(server, shop(), { code: 'x', verifier: 'y'.repeat(43) })],
    ['a page of a sign-in', async () => jwt.browser.open(`${server.issuer}/set-password?token=x`)],
    ['metadata', () => get('/.well-known/openid-configuration')],
    ['keys', () => get('/jwks')],
  ]
  for (const [what, ask] of reads) {
    const statements = await statementsOf(ask)
    expect([what, statements.filter((text) => BOUNDS.test(text) || WRITES.test(text))]).toEqual([what, []])
  }
})

it('client credentials to a JWT touch the database zero times once the client is known', async () => {
  const ask = () => post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, shop())
  await ask()
  expect(await statementsOf(ask)).toEqual([])
})

it('whatever a request writes is one transaction', async () => {
  const spa = { id: 'spa' }
  const { body } = await obtainTokens(server, spa, { scope: 'openid things:read' })
  const code = await obtainCode(server, 'shop', { scope: 'openid things:read' })
  const browser = createBrowser(server.issuer)
  const writes: [string, () => Promise<unknown>][] = [
    ['a code', () => redeem(server, shop(), code)],
    ['the same code again', () => redeem(server, shop(), code)],
    ['a refresh', () => refresh(server, spa, body.refresh_token)],
    ['an authorization request', () => browser.open(authorizeUrl(server, 'shop', pkce().challenge))],
    ['a revocation', () => post(server, '/revoke', { token: body.access_token }, spa)],
  ]
  for (const [what, ask] of writes) {
    const statements = await statementsOf(ask)
    const from = statements.findIndex((text) => BOUNDS.test(text))
    expect([what, statements.filter((text) => BOUNDS.test(text))]).toEqual([what, ['begin', 'commit']])
    expect([what, statements.slice(0, from).filter((text) => WRITES.test(text))]).toEqual([what, []])
  }
})
