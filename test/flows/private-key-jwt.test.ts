// Clients that sign: assertions are for us, short-lived, and good for one use (RFC 7523, SECURITY S-072, R-05).
import { generateKeyPair, type JWTPayload } from 'jose'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'
import { createSigner, type Signer } from '../helpers/signer.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

let server: TestServer
let signer: Signer

let database: TestDatabase
let slow: SlowDatabase

// Time between the statements of a request, so that two at once can get in each other's way.
beforeAll(async () => {
  database = await createTestDatabase()
  slow = await slowDown(database.connection, 5)
  server = await startTestServer({ database: { ...database, url: slow.url } })
  await addCast(server)
  signer = await createSigner(server.issuer, 'signer')
  await server.addClient({
    id: 'signer',
    kind: 'agent',
    authMethod: 'private_key_jwt',
    jwks: signer.jwks,
    refresh: 'offline',
    serves: [ORDERS],
  })
})
afterAll(async () => {
  await server?.stop()
  await slow?.close()
  await database?.drop()
})

const MACHINE = { grant_type: 'client_credentials', resource: ORDERS }
const claim = async (changed?: JWTPayload, options?: Parameters<Signer['assert']>[1]) =>
  post(server, '/token', { ...MACHINE, ...(await signer.assert(changed, options)) })
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

it('a client with inline jwks signs its way through every endpoint', async () => {
  const machine = await claim()
  expect(machine.status).toBe(200)
  const told = await post(server, '/introspect', { token: machine.body.access_token, ...(await signer.assert()) })
  expect(told.body).toMatchObject({ active: true, sub: 'signer', client_id: 'signer' })
  expect((await post(server, '/revoke', { token: machine.body.access_token, ...(await signer.assert()) })).status).toBe(
    200,
  )
  const after = await post(server, '/introspect', { token: machine.body.access_token, ...(await signer.assert()) })
  expect(after.body).toEqual({ active: false })
})

it.each<[string, () => Promise<{ status: number; body: { error?: string } }>]>([
  ['another issuer', () => claim({ iss: 'shop' })],
  ['another subject', () => claim({ sub: 'shop' })],
  ['no issuer', () => claim({ iss: undefined })],
  ['no subject', () => claim({ sub: undefined })],
  ['another audience', () => claim({ aud: 'https://evil.example' })],
  ['a list of other audiences', () => claim({ aud: ['https://evil.example', ORDERS] })],
  ['no audience', () => claim({ aud: undefined })],
  ['an exp that is over', () => claim({ iat: inSeconds(-120), exp: inSeconds(-60) })],
  ['no exp', () => claim({ exp: undefined })],
  ['an nbf that is to come', () => claim({ nbf: inSeconds(120) })],
  ['no jti', () => claim({ jti: undefined })],
  [
    'HS256 with the public key',
    async () => claim({}, { header: { alg: 'HS256' }, key: Buffer.from(JSON.stringify(signer.jwks)) }),
  ],
  ['the signature of another key', async () => claim({}, { key: (await generateKeyPair('ES256')).privateKey })],
  ['an unknown kid', () => claim({}, { header: { kid: 'k2' } })],
])('an assertion with %s is refused', async (_what, ask) => {
  const answer = await ask()
  expect([answer.status >= 400 && answer.status < 500, answer.body.error]).toEqual([
    true,
    expect.stringMatching(/^invalid_(client|request)$/),
  ])
  expect(answer.body).not.toHaveProperty('access_token')
})

it('alg none is refused, and so is text that is no JWT', async () => {
  const good = await signer.assert()
  const [, payload, signature] = good.client_assertion.split('.')
  const header = Buffer.from('{"alg":"none"}').toString('base64url')
  for (const client_assertion of [
    `${header}.${payload}.`,
    `${header}.${payload}.${signature}`,
    'x',
    'a.b.c',
    '..',
    `e30.${payload}.x`,
  ]) {
    const answer = await post(server, '/token', { ...MACHINE, ...good, client_assertion })
    expect([400, 401]).toContain(answer.status)
  }
  expect((await post(server, '/token', { ...MACHINE, ...good })).status).toBe(200)
})

it('S-072 an assertion is good for one use: 50 at once, one success; and none afterwards', async () => {
  const warm = await Promise.all(Array.from({ length: 20 }, () => claim()))
  expect(new Set(warm.map(({ status }) => status))).toEqual(new Set([200]))
  const assertion = await signer.assert()
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => post(server, '/token', { ...MACHINE, ...assertion })),
  )
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ status, body }) => status === 401 && body.error === 'invalid_client')).toHaveLength(49)
  expect((await post(server, '/token', { ...MACHINE, ...assertion })).status).toBe(401)
  // At another endpoint it is the same assertion.
  expect((await post(server, '/introspect', { token: 'x', ...assertion })).status).toBe(401)
})

it('S-072 the same jti from another client is another assertion', async () => {
  const other = await createSigner(server.issuer, 'signer-two')
  await server.addClient({ id: 'signer-two', kind: 'agent', authMethod: 'private_key_jwt', jwks: other.jwks })
  expect((await claim({ jti: 'one and the same' })).status).toBe(200)
  expect(
    (await post(server, '/token', { ...MACHINE, ...(await other.assert({ jti: 'one and the same' })) })).status,
  ).toBe(200)
  expect((await claim({ jti: 'one and the same' })).status).toBe(401)
})
