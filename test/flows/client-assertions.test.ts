// Signed assertions, by a key or by the secret: which are taken, for how long, and how often (RFC 7523, OpenID Connect Core
// section 9, SECURITY S-071 to S-073, R-05).
import { generateKeyPair, type JWTPayload } from 'jose'
import { obtainCode, post, redeem } from '../helpers/flow.ts'
import { type RawAnswer, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, ORDERS, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { createSecretSigner, createSigner, type Signer } from '../helpers/signer.ts'
import { slowDown } from '../helpers/slow-database.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let secret: string
let signers: Record<string, Pick<Signer, 'assert'>>

const MACHINE = { grant_type: 'client_credentials', resource: ORDERS }
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  const byKey = await createSigner(server.issuer, 'by-key')
  await server.addClient({ id: 'by-key', authMethod: 'private_key_jwt', jwks: byKey.jwks })
  secret = await server.addClient({ id: 'by-secret', authMethod: 'client_secret_jwt' })
  signers = { 'by-key': byKey, 'by-secret': createSecretSigner(server.issuer, 'by-secret', secret) }
})
afterAll(() => server.stop())

describe.each(['by-key', 'by-secret'])('a client that signs %s', (id) => {
  const claim = async (changed?: JWTPayload, options?: Parameters<Signer['assert']>[1]) =>
    post(server, '/token', { ...MACHINE, ...(await signers[id]!.assert(changed, options)) })

  it.each<[string, () => JWTPayload]>([
    ['for the token endpoint', () => ({ aud: `${server.issuer}/token` })],
    ['for the issuer, in a list', () => ({ aud: [server.issuer] })],
    ['that ends in 5 minutes', () => ({ exp: inSeconds(300) })],
    ['that says nothing of when it was made', () => ({ iat: undefined })],
  ])('S-071 an assertion %s is taken', async (_what, changed) => {
    expect((await claim(changed())).status).toBe(200)
  })

  it.each<[string, () => JWTPayload]>([
    ['of another issuer', () => ({ iss: 'shop' })],
    ['about somebody else', () => ({ sub: 'shop' })],
    ['without an issuer', () => ({ iss: undefined })],
    ['without a subject', () => ({ sub: undefined })],
    ['for somebody else', () => ({ aud: 'https://evil.example' })],
    ['for a list of others', () => ({ aud: ['https://evil.example', ORDERS] })],
    ['for an address that only begins as ours', () => ({ aud: `${server.issuer}.evil.example` })],
    ['for nobody', () => ({ aud: undefined })],
    ['without an end', () => ({ exp: undefined })],
    ['with an end that is text', () => ({ exp: String(inSeconds(60)) as never })],
    ['that ends in 6 minutes', () => ({ exp: inSeconds(360) })],
    ['that ends in a year', () => ({ exp: inSeconds(365 * 86_400) })],
    ['without a jti', () => ({ jti: undefined })],
    ['with a jti that is no text', () => ({ jti: ['x'] as never })],
  ])('S-071 an assertion %s is refused', async (_what, changed) => {
    const answer = await claim(changed())
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
  })

  it('S-071 another algorithm, key or kid is refused', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    for (const options of [
      { header: { alg: 'ES256' }, key: privateKey },
      { header: { alg: 'HS256', kid: undefined }, key: Buffer.from('x'.repeat(43)) },
      { header: { alg: 'HS512', kid: undefined }, key: Buffer.from(secret.padEnd(64, 'x')) },
      { header: { kid: 'k2' } },
    ]) {
      const answer = await claim({}, options)
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
    }
  })

  it.each<[string, (seconds: number) => JWTPayload]>([
    ['made', (seconds) => ({ iat: inSeconds(seconds), exp: inSeconds(120) })],
    ['begun', (seconds) => ({ nbf: inSeconds(seconds), exp: inSeconds(120) })],
    ['ended', (seconds) => ({ iat: inSeconds(-120), exp: inSeconds(-seconds) })],
  ])('S-073 clocks may differ by 8 s, not by 61 s, on when it was %s', async (_what, changed) => {
    expect([(await claim(changed(8))).status, (await claim(changed(61))).status]).toEqual([200, 401])
  })
})

it('S-070 each live secret verifies, and none that has ended or was never theirs', async () => {
  const first = await server.addClient({ id: 'rotating', authMethod: 'client_secret_jwt' })
  const ask = async (key: string) =>
    (
      await post(server, '/token', {
        ...MACHINE,
        ...(await createSecretSigner(server.issuer, 'rotating', key).assert()),
      })
    ).status
  expect(await ask(first)).toBe(200)
  const rotated = await server.rooms.clients.rotateSecret('rotating', 'operator', { overlap: 2 })
  if (!rotated.ok) throw new Error(rotated.reason)
  expect([await ask(first), await ask(rotated.secret), await ask(secret)]).toEqual([200, 200, 401])
  await server.rooms.clients.secretUse.flush()
  const uses = (await server.rooms.clients.listSecrets('rotating')).map(({ lastUsedAt }) => lastUsedAt)
  expect(uses).toEqual([expect.any(Date), expect.any(Date)])
  await new Promise((resolve) => setTimeout(resolve, rotated.oldEnd.getTime() - Date.now()))
  expect([await ask(first), await ask(rotated.secret)]).toEqual([401, 200])
  await server.rooms.clients.revokeSecret('rotating', rotated.row.id, 'operator')
  expect(await ask(rotated.secret)).toBe(401)
})

it('a client that signs with its secret cannot send it, and one that sends it cannot sign with it', async () => {
  const sent = await post(server, '/token', MACHINE, { id: 'by-secret', secret })
  const inBody = await post(server, '/token', { ...MACHINE, client_id: 'by-secret', client_secret: secret })
  const signed = await post(server, '/token', {
    ...MACHINE,
    ...(await createSecretSigner(server.issuer, 'billing', cast.billing).assert()),
  })
  for (const answer of [sent, inBody, signed])
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
})

it('the placeholder that the engine knows in the place of a secret opens nothing and signs nothing', async () => {
  const placeholder = (id: string) => server.rooms.ring.keyedHash('client-secret-placeholder', id).toString('base64url')
  for (const id of ['by-secret', 'billing', 'shop']) {
    const signed = await createSecretSigner(server.issuer, id, placeholder(id)).assert()
    expect((await post(server, '/token', { ...MACHINE, ...signed })).status).toBe(401)
    const sent = await post(server, '/token', MACHINE, { id, secret: placeholder(id) })
    expect(sent.status).toBe(401)
    // No key at all is left of it, for whatever purpose.
    const client = (await server.engine.provider().Client.find(id)) as unknown as {
      clientSecret: string
      symmetricKeyStore: Iterable<{ k: string; alg: string }>
    }
    expect(client.clientSecret).toBe(placeholder(id))
    const keys = [...client.symmetricKeyStore]
    expect(keys.map(({ alg, k }) => [alg, Buffer.from(k, 'base64url').toString()])).toEqual(
      id === 'by-secret' ? [['HS256', secret]] : [],
    )
  }
})

it('people log in through an app that signs with its secret', async () => {
  const got = await obtainCode(server, 'by-secret', { scope: 'openid orders:read' })
  expect((await redeem(server, { id: 'by-secret' }, got)).status).toBe(401)
  const answer = await redeem(server, { id: 'by-secret' }, got, await signers['by-secret']!.assert())
  expect(answer.status).toBe(200)
  const form = { grant_type: 'refresh_token', refresh_token: answer.body.refresh_token }
  expect((await post(server, '/token', { ...form, ...(await signers['by-secret']!.assert()) })).status).toBe(200)
})

describe('R-05 with two processes and a slow database', () => {
  it('R-05 S-072 one assertion x50, and after a restart: one success', async () => {
    const slow = await slowDown(server.database.connection, 10)
    const ports = [await freePort(), await freePort()]
    const issuer = `http://localhost:${ports[0]}`
    const start = () =>
      Promise.all(
        ports.map((port) =>
          startProcess({
            PORT: String(port),
            GATEHOUSE_ISSUER: issuer,
            DATABASE_URL: slow.url,
            GATEHOUSE_SECRET: TEST_SECRET,
            LOG_LEVEL: 'error',
          }),
        ),
      )
    const byKey = await createSigner(issuer, 'race-key')
    await server.addClient({ id: 'race-key', authMethod: 'private_key_jwt', jwks: byKey.jwks })
    const raceSecret = await server.addClient({ id: 'race-secret', authMethod: 'client_secret_jwt' })
    const racers = [byKey, createSecretSigner(issuer, 'race-secret', raceSecret)]
    let pair: ServerProcess[] = []
    const fire = (forms: Record<string, string>[]): Promise<RawAnswer[]> =>
      Promise.all(
        forms.map((form, index) =>
          send(pair[index % 2]!.port, '/token', {
            form: { ...MACHINE, ...form },
            headers: { host: new URL(issuer).host },
          }),
        ),
      )
    try {
      pair = await start()
      for (const racer of racers) {
        const warm = await fire(await Promise.all(Array.from({ length: 40 }, () => racer.assert())))
        expect(warm.map(({ status }) => status)).toEqual(Array(40).fill(200))
        const assertion = await racer.assert({ exp: inSeconds(240) })
        const answers = await fire(Array(50).fill(assertion))
        expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
        expect(answers.filter(({ status }) => status === 401)).toHaveLength(49)
        await Promise.all(pair.map((one) => one.kill()))
        pair = await start()
        expect((await fire(Array(4).fill(assertion))).map(({ status }) => status)).toEqual(Array(4).fill(401))
      }
    } finally {
      await Promise.all(pair.map((one) => one.stop()))
      await slow.close()
    }
  })
})
