// The rules of key loading against a real issuer over HTTP that counts what it is asked, with time in our hands.
import { createJwksLoader } from '../../src/verifier/load-jwks.ts'
import { createRemoteKeySet, KEY_AGES } from '../../src/verifier/remote-key-set.ts'
import { sampleIssuer } from '../helpers/access-tokens.ts'
import { type JwksServer, jwksServer } from '../helpers/jwks-server.ts'
import { until } from '../helpers/until.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const KNOWN = { alg: 'ES256', kid: 'sample-ES256' }
const UNKNOWN = { alg: 'ES256', kid: 'not-ours' }

const { jwks } = await sampleIssuer()
let server: JwksServer
let time: number
let warnings: string[]
const advance = (milliseconds: number) => {
  time += milliseconds
}
const loads = () => server.asked.filter((path) => path === '/jwks').length
const keySet = (ages = KEY_AGES) =>
  createRemoteKeySet(
    { load: createJwksLoader(server.issuer), now: () => new Date(time), warn: (text) => warnings.push(text) },
    ages,
  )
/** Lets a load that runs in the background come to its end. */
const settle = async (count: number) => {
  await until(() => loads() >= count)
  await new Promise((resolve) => setTimeout(resolve, 20))
}
const down = (response: import('node:http').ServerResponse) => {
  response.statusCode = 503
  response.end()
}

beforeEach(async () => {
  server = await jwksServer()
  server.keys = jwks.keys
  time = Date.parse('2026-05-01T12:00:00Z')
  warnings = []
})
afterEach(() => server.close())

describe('createRemoteKeySet', () => {
  it('asks for discovery once and for the keys once, however many calls come at the start', async () => {
    const keys = keySet()
    const found = await Promise.all(Array.from({ length: 50 }, () => keys.getKey(KNOWN)))
    expect(found.every(({ ok }) => ok)).toBe(true)
    expect(server.asked).toEqual(['/.well-known/openid-configuration', '/jwks'])
    advance(4 * MINUTE)
    await keys.getKey(KNOWN)
    expect(loads()).toBe(1)
  })

  it('serves a stale copy at once and refreshes it beside the call', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(5 * MINUTE)
    server.keys = [{ ...jwks.keys[0], kid: 'new' }]
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: true }) // withdrawn by now, but this call does not wait
    await settle(2)
    expect(loads()).toBe(2)
    expect(await keys.getKey({ alg: 'ES256', kid: 'new' })).toMatchObject({ ok: true })
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: false, reason: 'unknown-key' })
  })

  it.each([
    ['max-age=600', 10 * MINUTE],
    ['public, max-age=120', 2 * MINUTE],
    ['max-age=0', MINUTE],
    ['max-age=86400', 15 * MINUTE],
    ['no-store', 5 * MINUTE],
  ])('honours %s within its bounds', async (cacheControl, freshFor) => {
    server.cacheControl = cacheControl
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(freshFor - 1)
    await keys.getKey(KNOWN)
    await settle(1)
    expect(loads()).toBe(1)
    advance(1)
    await keys.getKey(KNOWN)
    await settle(2)
    expect(loads()).toBe(2)
  })

  it('S-209 asks at most twice a minute for 1,000 unknown key ids', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(MINUTE)
    server.asked.length = 0
    for (let n = 0; n < 1000; n++) {
      expect(await keys.getKey({ alg: 'ES256', kid: `junk-${n}` })).toMatchObject({ reason: 'unknown-key' })
      advance(60)
    }
    expect(server.asked).toEqual(['/jwks', '/jwks'])
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: true })
  })

  it('S-209 asks once for many unknown key ids at the same time', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(MINUTE)
    await Promise.all(Array.from({ length: 500 }, (_, n) => keys.getKey({ alg: 'ES256', kid: `junk-${n}` })))
    expect(loads()).toBe(2)
  })

  it('finds a key that was published a moment ago, half a minute after the last load', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    server.keys = [...jwks.keys, { ...jwks.keys[0], kid: 'new' }]
    advance(29 * SECOND)
    expect(await keys.getKey({ alg: 'ES256', kid: 'new' })).toMatchObject({ reason: 'unknown-key' })
    advance(1 * SECOND)
    expect(await keys.getKey({ alg: 'ES256', kid: 'new' })).toMatchObject({ ok: true })
    expect(loads()).toBe(2)
  })

  it('does not ask again for an id that the last copy did not have, for a minute', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(30 * SECOND)
    await keys.getKey(UNKNOWN)
    expect(loads()).toBe(2)
    advance(59 * SECOND)
    await keys.getKey(UNKNOWN)
    expect(loads()).toBe(2)
    advance(1 * SECOND)
    await keys.getKey(UNKNOWN)
    expect(loads()).toBe(3)
  })

  it('never asks on behalf of a monstrous key id', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(MINUTE)
    expect(await keys.getKey({ alg: 'ES256', kid: 'k'.repeat(5000) })).toMatchObject({ reason: 'unknown-key' })
    expect(loads()).toBe(1)
  })

  it('lives on its copy while the issuer is down, until the hard age, and then refuses', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    server.broken = down
    for (let minute = 0; minute < 59; minute++) {
      advance(MINUTE)
      expect(await keys.getKey(KNOWN)).toMatchObject({ ok: true })
      await settle(0)
    }
    expect(warnings.at(-1)).toMatch(/answered 503; the copy in use is \d+ s old/)
    advance(MINUTE)
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: false, reason: 'unavailable' })
  })

  it('waits for new keys at the hard age, and uses them', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    server.keys = [{ ...jwks.keys[0], kid: 'new' }]
    advance(60 * MINUTE)
    expect(await keys.getKey(KNOWN)).toMatchObject({ reason: 'unknown-key' })
    expect(await keys.getKey({ alg: 'ES256', kid: 'new' })).toMatchObject({ ok: true })
    expect(loads()).toBe(2)
  })

  it('has no keys and does not hammer while an issuer is down from the start; recovers within five seconds', async () => {
    server.broken = down
    const keys = keySet()
    for (let n = 0; n < 20; n++) expect(await keys.getKey(KNOWN)).toMatchObject({ reason: 'unavailable' })
    expect(loads()).toBe(1)
    server.broken = undefined
    advance(5 * SECOND)
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: true })
  })

  it('does not wait for a load that froze with its container', async () => {
    let calls = 0
    const keys = createRemoteKeySet({
      load: () => (++calls === 1 ? new Promise(() => {}) : Promise.resolve({ jwks })),
      now: () => new Date(time),
    })
    void keys.getKey(KNOWN)
    advance(30 * MINUTE)
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: true })
    expect(calls).toBe(2)
  })

  it('takes every copy for old when the clock is set back', async () => {
    const keys = keySet()
    await keys.getKey(KNOWN)
    advance(-90 * MINUTE)
    expect(await keys.getKey(KNOWN)).toMatchObject({ ok: true })
    expect(loads()).toBe(2)
  })

  it('obeys other ages, for tests that run faster than life', async () => {
    const keys = keySet({ ...KEY_AGES, fresh: 10, freshAtLeast: 10, pause: 5 })
    await keys.getKey(KNOWN)
    advance(10)
    await keys.getKey(KNOWN)
    await settle(2)
    expect(loads()).toBe(2)
  })
})

describe('createJwksLoader', () => {
  const load = () => createJwksLoader(server.issuer)()

  it('refuses a document of another issuer, and one that sends us elsewhere for the keys', async () => {
    server.discovery = { issuer: 'https://evil.example', jwks_uri: `${server.issuer}/jwks` }
    await expect(load()).rejects.toThrow('another issuer')
    server.discovery = { issuer: `${server.issuer}/`, jwks_uri: `${server.issuer}/jwks` }
    await expect(load()).rejects.toThrow('another issuer')
    server.discovery = { issuer: server.issuer, jwks_uri: 'http://127.0.0.1:1/jwks' }
    await expect(load()).rejects.toThrow('another origin')
    server.discovery = { issuer: server.issuer }
    await expect(load()).rejects.toThrow('no jwks_uri')
    expect(loads()).toBe(0)
  })

  it('follows no redirect', async () => {
    server.broken = (response) => response.writeHead(302, { location: '/elsewhere' }).end()
    await expect(load()).rejects.toThrow('answered 302')
    expect(server.asked).not.toContain('/elsewhere')
  })

  it('stops reading after 64 KiB', async () => {
    server.broken = (response) => response.end(JSON.stringify({ keys: [], pad: 'x'.repeat(70_000) }))
    await expect(load()).rejects.toThrow('more than 65536 bytes')
  })

  it('gives up after 1.5 seconds', async () => {
    server.broken = () => {}
    const started = performance.now()
    await expect(load()).rejects.toThrow('did not answer within 1500 ms')
    expect(performance.now() - started).toBeGreaterThan(1400)
  })

  it.each(['', '[]', 'null', '"x"', '{'])('does not take %j for a key set', async (body) => {
    server.broken = (response) => response.end(body)
    const keys = keySet()
    expect(await keys.getKey(KNOWN)).toMatchObject({ reason: 'unavailable' })
    expect(warnings).toHaveLength(1)
  })

  it('asks discovery again after a failure, because the keys may have moved', async () => {
    const again = createJwksLoader(server.issuer)
    await again()
    await again()
    server.broken = down
    await expect(again()).rejects.toThrow('503')
    server.broken = undefined
    await again()
    expect(server.asked.filter((path) => path !== '/jwks')).toHaveLength(2)
  })

  it('is not made for an http issuer elsewhere', () => {
    expect(() => createJwksLoader('http://id.example.com')).toThrow('https')
  })
})
