// Which client may use which grant, and how tokens tell a machine from a person (SECURITY S-075, S-076, S-079).
import { decodeJwt } from 'jose'
import { readClientFields } from '../../src/clients/fields.ts'
import { introspect, obtainTokens, post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
type Caller = { id: string; secret?: string }
let callers: Record<string, Caller>

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  const scopes = { [ORDERS]: ['orders:read'] }
  callers = {
    shop: { id: 'shop', secret: cast.shop },
    spa: { id: 'spa' },
    billing: { id: 'billing', secret: cast.billing },
    api: { id: 'orders-api', secret: cast.api },
    native: { id: 'native' },
    unrefreshed: { id: 'unrefreshed', secret: await server.addClient({ id: 'unrefreshed', refresh: 'none', scopes }) },
    login: { id: 'login', secret: await server.addClient({ id: 'login', scopes: {} }) },
  }
  await server.addClient({ id: 'native', kind: 'native', authMethod: 'none', refresh: 'offline', scopes })
})
afterAll(() => server.stop())

const ask = (who: string, form: Record<string, string>) => post(server, '/token', form, callers[who]!)

const ASKS: Record<string, Record<string, string>> = {
  authorization_code: {
    grant_type: 'authorization_code',
    code: 'x',
    redirect_uri: 'https://x.example/',
    code_verifier: 'x'.repeat(43),
  },
  refresh_token: { grant_type: 'refresh_token', refresh_token: 'x' },
  client_credentials: { grant_type: 'client_credentials', resource: ORDERS },
}

// What each client's record says it may; everything else is unauthorized_client (RFC 6749 section 5.2).
const MAY: [string, string[]][] = [
  ['shop', ['authorization_code', 'refresh_token', 'client_credentials']],
  ['login', ['authorization_code', 'refresh_token']],
  ['unrefreshed', ['authorization_code', 'client_credentials']],
  ['spa', ['authorization_code', 'refresh_token']],
  ['native', ['authorization_code', 'refresh_token']],
  ['billing', ['client_credentials']],
  ['api', []],
]

it.each(MAY)('S-075 S-076 %s may use %j and no other grant', async (who, may) => {
  for (const [grant, form] of Object.entries(ASKS)) {
    const { status, body } = await ask(who, form)
    const expected = !may.includes(grant)
      ? 'unauthorized_client'
      : grant === 'client_credentials'
        ? undefined
        : 'invalid_grant'
    expect([grant, status, body.error]).toEqual([grant, expected ? 400 : 200, expected])
  }
})

it.each([
  'password',
  'implicit',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'urn:openid:params:grant-type:ciba',
  'Authorization_Code',
  'x',
])('S-076 %s is nobody’s', async (grant_type) => {
  for (const who of ['shop', 'billing', 'native']) {
    const { status, body } = await ask(who, { grant_type, username: 'ada@example.com', password: 'x', assertion: 'x' })
    expect([status, body.error]).toEqual([400, 'unsupported_grant_type'])
  }
})

it('S-076 metadata offers what is there', async () => {
  const metadata = (await (await fetch(`${server.issuer}/.well-known/openid-configuration`)).json()) as Record<
    string,
    string[]
  >
  expect([...metadata.grant_types_supported!].sort()).toEqual([
    'authorization_code',
    'client_credentials',
    'refresh_token',
  ])
})

it('S-075 a public client learns nothing of the tokens of others, and nothing without saying who it is', async () => {
  for (const scope of ['openid orders:read', 'openid things:read']) {
    const { body } = await obtainTokens(server, callers.shop!, { scope })
    for (const token of [body.access_token, body.refresh_token]) {
      for (const who of ['spa', 'native']) {
        const { status, body: told } = await post(server, '/introspect', { token }, callers[who]!)
        expect([200, 400, 401, 403]).toContain(status)
        expect(told.active ?? false).toBe(false)
        expect(Object.keys(told).filter((name) => !['active', 'error', 'error_description'].includes(name))).toEqual([])
      }
      expect((await post(server, '/introspect', { token })).status).toBe(400)
      // Nor does it end them.
      await post(server, '/revoke', { token }, callers.spa!)
    }
    expect(await introspect(server, callers.shop!, body.access_token)).toMatchObject({ active: true })
  }
})

it('S-079 the id of a client never looks like the id of a person', async () => {
  expect(cast.ada).toMatch(/^usr_[0-9A-Za-z]{22}$/)
  for (const id of [cast.ada, 'usr_x', `usr_${'A'.repeat(22)}`]) {
    const reading = readClientFields({ id, name: 'X', kind: 'service' })
    expect(reading.ok || reading.faults).toEqual([expect.objectContaining({ path: ['id'] })])
  }
  expect(readClientFields({ id: 'usr-x', name: 'X', kind: 'service' }).ok).toBe(true)
})

it('S-079 a token says whether a machine or a person is behind it', async () => {
  const machine = await ask('shop', ASKS.client_credentials!)
  const claims = decodeJwt(machine.body.access_token)
  expect(claims).toMatchObject({ sub: 'shop', client_id: 'shop', aud: ORDERS })
  expect(Object.keys(claims).sort()).toEqual(['aud', 'client_id', 'epoch', 'exp', 'iat', 'iss', 'jti', 'scope', 'sub'])
  expect(machine.body).not.toHaveProperty('id_token')
  expect(machine.body).not.toHaveProperty('refresh_token')
  const person = decodeJwt(
    (await obtainTokens(server, callers.shop!, { scope: 'openid orders:read' })).body.access_token,
  )
  expect(person).toMatchObject({ sub: cast.ada, client_id: 'shop', aud: ORDERS, auth_time: expect.any(Number) })

  const opaque = await ask('shop', { grant_type: 'client_credentials', resource: THINGS })
  const told = await introspect(server, callers.api!, opaque.body.access_token)
  expect(told).toMatchObject({ active: true, client_id: 'shop', aud: THINGS })
  expect([undefined, 'shop']).toContain(told.sub)
})

it('S-079 a machine asks in vain for what belongs to people', async () => {
  for (const scope of ['openid', 'openid orders:read', 'profile', 'offline_access orders:read']) {
    const { status, body } = await ask('billing', { ...ASKS.client_credentials!, scope })
    if (status === 200) expect(body.scope).toBe('orders:read')
    else expect(body.error).toBe('invalid_scope')
    const userinfo = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${body.access_token}` },
    })
    expect([401, 403]).toContain(userinfo.status)
  }
})
