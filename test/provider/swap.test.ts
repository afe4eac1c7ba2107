// The engine behind its holder: a new one, with other keys, takes over while requests are on their way.
import { decodeProtectedHeader } from 'jose'
import { withNextInUse, withNextVersion } from '../../src/secrets/ring-keys.ts'
import { engineParts } from '../../src/server/build.ts'
import { makeSigningKey } from '../../src/signing-keys/make.ts'
import { basic, post } from '../helpers/flow.ts'
import { createProver } from '../helpers/prover.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let server: TestServer
let secret: string

beforeAll(async () => {
  server = await startTestServer()
  secret = (await addCast(server)).billing
})
afterAll(() => server.stop())

const token = () => post(server, '/token', { grant_type: 'client_credentials' }, { id: 'billing', secret })
const published = async () => {
  const { keys } = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}

it('no request fails over ten swaps under load; afterwards tokens and key set are of the new keys', async () => {
  const before = await published()
  const statuses: number[] = []
  let swapping = true
  const clients = Array.from({ length: 8 }, async () => {
    while (swapping)
      statuses.push(
        await token().then(
          ({ status }) => status,
          () => 0,
        ),
      )
  })
  const made = (await Promise.all([makeSigningKey('ES256', new Date()), makeSigningKey('RS256', new Date())])).map(
    (key) => ({ ...key, state: 'active' as const, publishedAt: key.createdAt }),
  )
  for (let swap = 0; swap < 10; swap++) {
    const seen = statuses.length
    const signingKeys = swap % 2 ? server.rooms.signingKeys.held() : made
    server.engine.rebuild({ ...engineParts(server.rooms), signingKeys })
    await until(() => statuses.length >= seen + 3)
  }
  server.engine.rebuild({ ...engineParts(server.rooms), signingKeys: made })
  swapping = false
  await Promise.all(clients)
  expect(new Set(statuses)).toEqual(new Set([200]))

  const after = await published()
  expect(new Set(after)).toEqual(new Set(made.map(({ kid }) => kid)))
  expect(after.some((kid) => before.includes(kid))).toBe(false)
  const { kid } = decodeProtectedHeader((await token()).body.access_token)
  expect(after).toContain(kid)
})

it('S-120 with another version of the key ring another engine takes over, and with it the nonces of every node', async () => {
  const prover = await createProver()
  const url = `${server.issuer}/token`
  const ask = async (nonce?: string) =>
    fetch(url, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
      headers: { ...basic('billing', secret), DPoP: await prover.prove('POST', url, { nonce }) },
    })
  const nonceOf = async (nonce?: string) => (await ask(nonce)).headers.get('dpop-nonce')!
  const old = await nonceOf()
  expect((await ask(old)).status).toBe(200)
  const { ring } = server.rooms
  ring.take(withNextInUse(withNextVersion(ring.keys, new Date()), new Date()))
  const refused = await ask(old)
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: 'use_dpop_nonce' }])
  expect((await ask(refused.headers.get('dpop-nonce')!)).status).toBe(200)
})
