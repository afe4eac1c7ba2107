// Signing keys that take turns while several processes issue tokens, and one that must go at once. All times are scaled.
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt, decodeProtectedHeader, importJWK, type JSONWebKeySet, SignJWT } from 'jose'
import { deriveKeyTimes, scaleKeyTimes } from '../../src/signing-keys/times.ts'
import { type Cluster, startCluster } from '../helpers/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { basic, introspect, obtainTokens } from '../helpers/flow.ts'
import { createKeyVerifiers } from '../helpers/key-verifiers.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const CLOCK = 'https://clock.example.com'
const DIVISOR = 150
// Turns come faster than a verifier with the longest cache asks again: a key that were not published before would be refused.
const TIMES = scaleKeyTimes(
  deriveKeyTimes({ jwksCache: 300, refetch: 150, clockTolerance: 60, longestUse: 450, period: 200, look: 10 }),
  DIVISOR,
)

let database: TestDatabase
let home: TestServer
let cluster: Cluster
let cast: Awaited<ReturnType<typeof addCast>>
let headers: Record<string, string>

beforeAll(async () => {
  database = await createTestDatabase()
  const ports = await Promise.all([freePort(), freePort()])
  const env = { GATEHOUSE_ISSUER: `http://localhost:${ports[0]}`, GATEHOUSE_SECRET: TEST_SECRET }
  home = await startTestServer({ database, env })
  cast = await addCast(home)
  const scopes = [{ name: 'tick', text: 'Tick', risk: 'normal', byDefault: true } as const]
  await home.addResource({ id: CLOCK, lifetime: 3, scopes })
  const fields = { kind: 'service', redirectUris: [], refresh: 'none', scopes: { [CLOCK]: ['tick'] } } as const
  headers = { ...basic('clock', await home.addClient({ id: 'clock', ...fields })), host: `localhost:${ports[0]}` }
  cluster = await startCluster({
    database,
    ports,
    warm: 10,
    api: { id: 'orders-api', secret: cast.api },
    program: ['test/helpers/scaled-server.ts'],
    env: { SCALED_KEY_TIMES: JSON.stringify(TIMES) },
  })
})
afterAll(async () => {
  await cluster?.stop()
  await home?.stop()
  await database?.drop()
})

const node = (number: number) => cluster.nodes[number % cluster.nodes.length]!
async function issue(at: ServerProcess): Promise<string> {
  const { status, body } = await send(at.port, '/token', { form: { grant_type: 'client_credentials' }, headers })
  expect(status).toBe(200)
  return String(body.access_token)
}
const kidOf = (token: string) => String(decodeProtectedHeader(token).kid)
const keysOf = async (at: ServerProcess) =>
  (await send(at.port, '/jwks', { headers: { host: headers.host! } })).body as unknown as JSONWebKeySet
const isActive = async (at: ServerProcess, token: string) =>
  (await send(at.port, '/introspect', { form: { token }, headers })).body.active

it('S-022 keys take turns under load, and no verifier refuses a good token, however long it keeps keys', async () => {
  let fetches = 0
  const verifiers = createKeyVerifiers({
    issuer: cluster.issuer,
    fetchKeys: () => keysOf(node(fetches++)),
    caches: [0, 30_000, 300_000],
    divisor: DIVISOR,
  })
  const refusals: string[] = []
  const signed = new Set<string>()
  const old: { token: string; due: number }[] = []
  let checkedAgain = 0
  const isGood = (token: string) => decodeJwt(token).exp! * 1000 > Date.now()
  const check = async (token: string) => {
    for (const { name, refusal } of verifiers) {
      const why = await refusal(token)
      if (why && isGood(token)) refusals.push(`${name}: ${why}`)
    }
  }
  // As long as it takes until enough was seen, and nine seconds at least, in which each cache is used past its end.
  const enough = () => signed.size >= 3 && checkedAgain > 20
  const begun = performance.now()
  const lasts = () => performance.now() - begun
  for (let count = 0; lasts() < 9000 || (!enough() && lasts() < 40_000); count++) {
    const token = await issue(node(count))
    signed.add(kidOf(token))
    await check(token)
    // Keys that sign no more hold as long as the tokens that they signed.
    old.push({ token, due: Date.now() + 1500 })
    while (old[0] && old[0].due < Date.now()) {
      const again = old.shift()!.token
      await check(again)
      if (isGood(again)) checkedAgain++
    }
    await sleep(15)
  }
  expect(refusals).toEqual([])
  expect(signed.size).toBeGreaterThanOrEqual(3)
  expect(checkedAgain).toBeGreaterThan(20)
  // And they do go.
  const isGone = async () => (await home.rooms.signingKeys.records()).some(({ state }) => state === 'gone')
  await until(isGone, { every: 200 })
}, 90_000)

it('S-023 a key in wrong hands: within a second no process signs with it, and its tokens are inactive', async () => {
  const { rotation } = home.rooms.signingKeys
  const token = await issue(node(0))
  const kid = kidOf(token)
  expect(await Promise.all(cluster.nodes.map((at) => isActive(at, token)))).toEqual([true, true])
  expect(await rotation.retire(kid, true, 'operator')).toMatchObject({ ok: true })
  const since = performance.now()
  expect(await Promise.all(cluster.nodes.map((at) => isActive(at, token)))).toEqual([false, false])
  const forgets = (at: ServerProcess) =>
    until(async () => kidOf(await issue(at)) !== kid && (await keysOf(at)).keys.every((key) => key.kid !== kid), {
      within: 1000,
      since,
      what: 'a process signs with another key, and publishes this one no more',
    })
  await Promise.all(cluster.nodes.map(forgets))
})

it('S-023 an access token of a person that a leaked key signed opens nothing, nor does one that a thief made', async () => {
  const home = await startTestServer()
  try {
    const { shop, api } = await addCast(home)
    const { rotation, held } = home.rooms.signingKeys
    await rotation.step()
    const tokens = (await obtainTokens(home, { id: 'shop', secret: shop }, { scope: 'openid orders:read' })).body
    const leaked = held().find(({ kid }) => kid === kidOf(tokens.access_token))!
    const userinfo = async (token: string) =>
      (await fetch(`${home.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status
    const verdicts = async (token: string) => [
      await userinfo(token),
      (await introspect(home, { id: 'orders-api', secret: api }, token)).active,
    ]
    const forged = await new SignJWT({ ...decodeJwt(tokens.access_token), jti: 'forged' })
      .setProtectedHeader({ alg: leaked.alg, typ: 'at+jwt', kid: leaked.kid })
      .sign(await importJWK(leaked.privateJwk, leaked.alg))
    expect(await verdicts(tokens.access_token)).toEqual([200, true])
    expect(await verdicts(forged)).toEqual([200, true]) // whoever has the key can do that
    expect(await rotation.retire(leaked.kid, true, 'operator')).toMatchObject({ ok: true })
    expect(await verdicts(tokens.access_token)).toEqual([401, false])
    expect(await verdicts(forged)).toEqual([401, false])
  } finally {
    await home.stop()
  }
})

it('S-022 an ID token is a good hint as long as its key retires, and none once the key is gone', async () => {
  const server = await startTestServer({ keyTimes: { ...TIMES, published: 0 } })
  try {
    const { shop } = await addCast(server)
    const { rotation, records } = server.rooms.signingKeys
    const { body, browser } = await obtainTokens(server, { id: 'shop', secret: shop })
    const logout = new URL(`${server.issuer}/logout`)
    logout.searchParams.set('id_token_hint', body.id_token)
    expect(await rotation.rotate(['RS256'], 'operator')).toMatchObject({ ok: true })
    const retiring = (await records()).find(({ kid }) => kid === kidOf(body.id_token))!
    expect(retiring.state).toBe('retiring')
    expect((await browser.open(logout)).status).toBe(200)
    expect(await rotation.retire(retiring.kid, true, 'operator')).toMatchObject({ ok: true })
    expect((await browser.open(logout)).status).toBe(400)
  } finally {
    await server.stop()
  }
})

it('S-022 a first start waits for no successor, and publishes one of each algorithm soon after', async () => {
  const own = await createTestDatabase()
  const port = await freePort()
  const server = await startProcess({ PORT: String(port), DATABASE_URL: own.url, GATEHOUSE_SECRET: TEST_SECRET })
  try {
    const algorithms = async () => {
      const { body } = await send(port, '/jwks', { headers: { host: `localhost:${port}` } })
      return (body as unknown as JSONWebKeySet).keys.map(({ alg }) => alg)
    }
    expect((await algorithms()).length).toBeLessThan(4)
    await until(async () => (await algorithms()).length >= 4, { every: 200 })
    expect(await algorithms()).toEqual(['ES256', 'ES256', 'RS256', 'RS256'])
  } finally {
    await server.stop()
    await own.drop()
  }
})
