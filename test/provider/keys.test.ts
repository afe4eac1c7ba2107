// The keys that sign: what everybody sees of them, and what nobody finds (SECURITY S-019 to S-021, S-024, S-025).
import { createHash, createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, decodeProtectedHeader, type JWK } from 'jose'
import { readClientFields } from '../../src/clients/fields.ts'
import { unwrapRing } from '../../src/secrets/wrap.ts'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, obtainTokens, pkce, post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let keys: JWK[]

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  const answer = await fetch(`${server.issuer}/jwks`)
  expect(answer.headers.get('content-type')).toMatch(/^application\/(jwk-set\+)?json/)
  keys = ((await answer.json()) as { keys: JWK[] }).keys
})
afterAll(() => server.stop())

const PUBLIC_MEMBERS: Record<string, string[]> = {
  EC: ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
  RSA: ['alg', 'e', 'kid', 'kty', 'n', 'use'],
}

it('S-019 the key set shows public members only, at its address and nowhere else', async () => {
  expect(keys.map((key) => [key.kty, Object.keys(key).sort()])).toEqual(
    keys.map((key) => [key.kty, PUBLIC_MEMBERS[key.kty!]]),
  )
  const text = await (await fetch(`${server.issuer}/jwks`)).text()
  expect(text).not.toMatch(/"(d|p|q|dp|dq|qi|oth|k|priv)":/)
  for (const { privateJwk } of server.rooms.signingKeys.held()) {
    const secret = [privateJwk.d, privateJwk.p, privateJwk.q, privateJwk.dp, privateJwk.dq, privateJwk.qi].filter(
      Boolean,
    )
    expect(secret.length).toBeGreaterThan(0)
    for (const value of secret) expect(text.includes(value!)).toBe(false)
  }
})

it('S-020 our own keys are RSA of 2048 bits and P-256, or stronger', () => {
  const strength = keys.map((jwk) => createPublicKey({ key: jwk as never, format: 'jwk' }))
  expect(strength.map(({ asymmetricKeyType }) => asymmetricKeyType).sort()).toEqual(['ec', 'rsa'])
  for (const { asymmetricKeyType, asymmetricKeyDetails } of strength) {
    if (asymmetricKeyType === 'rsa') {
      expect(asymmetricKeyDetails!.modulusLength).toBeGreaterThanOrEqual(2048)
      expect(asymmetricKeyDetails!.publicExponent).toBe(65537n)
    } else expect(['prime256v1', 'secp384r1', 'secp521r1']).toContain(asymmetricKeyDetails!.namedCurve)
  }
})

it('S-020 weaker keys are refused where keys come in from outside: the jwks of a client', () => {
  const read = (...jwks: object[]) =>
    readClientFields({ id: 'x', name: 'X', kind: 'service', auth: 'private_key_jwt', jwks: { keys: jwks } })
  const rsa = (modulusLength: number) =>
    generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' })
  expect(read(rsa(2048), ec('P-256')).ok).toBe(true)
  for (const weak of [rsa(1024), rsa(2047), { kty: 'EC', crv: 'P-192', x: 'AA', y: 'AA' }, ec('secp256k1')]) {
    const reading = read(rsa(2048), weak)
    expect(reading).toMatchObject({ ok: false, faults: [{ path: ['jwks', 'keys', 1] }] })
  }
})

it('S-021 every key has a kid of its own, one use, and one algorithm', async () => {
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
  for (const key of keys) {
    expect(key.use).toBe('sig')
    expect([key.kty, key.alg]).toEqual(key.kty === 'EC' ? ['EC', 'ES256'] : ['RSA', 'RS256'])
    expect(await calculateJwkThumbprint(key)).toBe(key.kid)
  }
})

it('S-021 a token names the key that signed it, by its algorithm', async () => {
  await server.addResource({
    id: 'https://rs.example.com',
    sign: 'RS256',
    scopes: [{ name: 'x', text: 'X', risk: 'low', byDefault: true }],
  })
  const both = { id: 'both', scopes: { [ORDERS]: ['orders:read'], 'https://rs.example.com': ['x'] } }
  const secret = await server.addClient(both)
  const { id_token } = (await obtainTokens(server, { id: 'shop', secret: cast.shop })).body
  const tokens: Record<string, string> = { RS256: id_token }
  for (const resource of Object.keys(both.scopes)) {
    const { body } = await post(
      server,
      '/token',
      { grant_type: 'client_credentials', resource },
      { id: 'both', secret },
    )
    tokens[`${resource === ORDERS ? 'ES256' : 'RS256'} ${resource}`] = body.access_token
  }
  for (const [name, token] of Object.entries(tokens)) {
    const { alg, kid } = decodeProtectedHeader(token)
    expect([name, alg]).toEqual([name, name.split(' ')[0]])
    expect(keys.find((key) => key.kid === kid)?.alg).toBe(alg)
  }
})

describe('at rest', () => {
  interface Row {
    kid: string
    public_jwk: JWK
    private_sealed: Buffer
  }
  const rows = async (): Promise<Row[]> => (await server.database.pool().query('select * from signing_keys')).rows

  it('S-024 the private part of a key is sealed: its row has none of it in clear', async () => {
    const stored = await rows()
    expect(stored.map(({ kid }) => kid).sort()).toEqual(keys.map(({ kid }) => kid!).sort())
    for (const row of stored) {
      const { privateJwk } = server.rooms.signingKeys.held().find(({ kid }) => kid === row.kid)!
      expect(Object.keys(row.public_jwk).sort()).toEqual(PUBLIC_MEMBERS[row.public_jwk.kty!])
      const raw = Buffer.from(privateJwk.d!, 'base64url')
      const text = `${JSON.stringify(row)} ${row.private_sealed.toString('latin1')}`
      expect([text.includes(privateJwk.d!), row.private_sealed.includes(raw)]).toEqual([false, false])
      expect(text).not.toMatch(/PRIVATE KEY|"d":/)
    }
  })

  it('S-024 what opens it is outside of the database: the ring opens with the secret only', async () => {
    const { rows: found } = await server.database.pool().query('select wrapped from key_ring')
    const wrapped: Buffer = found[0].wrapped
    expect(unwrapRing(wrapped, 'another secret that is long enough to be taken')).toBeUndefined()
    expect(unwrapRing(wrapped, '')).toBeUndefined()
    expect(unwrapRing(wrapped, TEST_SECRET)).toMatchObject({ current: 1, versions: [{ id: 1 }] })
    const all = JSON.stringify(await everything())
    expect([all.includes(TEST_SECRET), all.includes(createHash('sha256').update(TEST_SECRET).digest('hex'))]).toEqual([
      false,
      false,
    ])
  })

  it('S-024 a sealed key that was moved or changed does not open', async () => {
    const [one, other] = await rows()
    const { ring } = server.rooms
    const open = (kid: string, sealed: Buffer) => () => ring.open(`signing-key ${kid}`, sealed)
    expect(open(one!.kid, one!.private_sealed)).not.toThrow()
    expect(open(one!.kid, other!.private_sealed)).toThrow()
    const changed = Buffer.from(one!.private_sealed)
    changed[20]! ^= 1
    expect(open(one!.kid, changed)).toThrow()
  })

  it('S-025 one key for one thing: signing, sealing, hashing, cookies', async () => {
    const { rows: found } = await server.database.pool().query('select wrapped from key_ring')
    const { pepper, atRest, cookie } = unwrapRing(found[0].wrapped, TEST_SECRET)!.versions[0]!
    const ring = [pepper, atRest, cookie]
    const signing = server.rooms.signingKeys.held().map(({ privateJwk }) => privateJwk.d!)
    const all = [...ring, ...signing, TEST_SECRET]
    expect(new Set(all).size).toBe(all.length)
    for (const key of ring) expect(Buffer.from(key, 'base64url')).toHaveLength(32)
    expect(server.rooms.ring.cookieKeys()).toEqual([cookie])
    // None of them follows from another, nor two alike from the same secret: they are random.
    const again = await startTestServer()
    try {
      expect(again.rooms.ring.cookieKeys()).not.toEqual([cookie])
      expect(again.rooms.ring.keyedHash('x', 'y')).not.toEqual(server.rooms.ring.keyedHash('x', 'y'))
    } finally {
      await again.stop()
    }
  })

  it('S-025 no signing key is for encryption, and cookies are signed with the key of cookies alone', async () => {
    expect(keys.filter(({ use, alg, key_ops }) => use !== 'sig' || !alg || key_ops)).toEqual([])
    const browser = createBrowser(server.issuer)
    await browser.open(authorizeUrl(server, 'shop', pkce().challenge))
    const { cookies } = await browser.jar.serialize()
    const signed = cookies.filter(({ key }) => cookies.some((other) => other.key === `${key}.sig`))
    expect(signed.length).toBeGreaterThan(0)
    for (const { key, value, path } of signed) {
      const sig = cookies.find((other) => other.key === `${key}.sig` && other.path === path)!.value
      const made = createHmac('sha1', server.rooms.ring.cookieKeys()[0]!).update(`${key}=${value}`)
      expect(sig).toBe(made.digest('base64url'))
    }
  })

  async function everything(): Promise<unknown[]> {
    const pool = server.database.pool()
    const tables = await pool.query(`select table_name from information_schema.tables where table_schema = 'public'`)
    return Promise.all(
      tables.rows.map(async ({ table_name }) => (await pool.query(`select * from "${table_name}"`)).rows),
    )
  }
})
