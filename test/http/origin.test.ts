// One public origin, whoever asks and however the request got here (SECURITY S-001, S-002, S-004).
import { connect } from 'node:net'
import { basic } from '../helpers/flow.ts'
import { type RawAnswer, send } from '../helpers/process.ts'
import { addCast, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'

const PUBLIC = 'https://login.example.com'
const METADATA = '/.well-known/openid-configuration'
const GRANT = { grant_type: 'client_credentials' }

let plain: TestServer
/** issuer https, behind proxies that it knows */
let behind: TestServer
/** issuer https, no proxy listed */
let bare: TestServer
let port: { plain: number; behind: number; bare: number }
let billing: Record<string, string>

beforeAll(async () => {
  plain = await startTestServer()
  const cast = await addCast(plain)
  billing = basic('billing', cast.billing)
  const env = { GATEHOUSE_ISSUER: PUBLIC, GATEHOUSE_SECRET: TEST_SECRET }
  const shared = { database: plain.database }
  behind = await startTestServer({ ...shared, env: { ...env, GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1,::1' } })
  bare = await startTestServer({ ...shared, env: { ...env, GATEHOUSE_TRUSTED_PROXIES: '192.0.2.1' } })
  port = { plain: plain.rooms.config.port, behind: behind.rooms.config.port, bare: bare.rooms.config.port }
})
afterAll(async () => {
  await behind.stop()
  await bare.stop()
  await plain.stop()
})

/** What a proxy of ours says when it has ended TLS. */
const tls = (more: Record<string, string> = {}) => ({
  host: 'login.example.com',
  'x-forwarded-proto': 'https',
  'x-forwarded-for': '203.0.113.9',
  ...more,
})

function expectTurnedAway(answer: RawAnswer): void {
  expect([400, 421]).toContain(answer.status)
  expect(`${answer.text} ${JSON.stringify(answer.headers)}`).not.toMatch(/evil|token_endpoint|access_token/i)
  expect([answer.headers.location, answer.headers['set-cookie']]).toEqual([undefined, undefined])
}

/** Sends bytes that no client library would, and waits until the server hangs up. */
function speak(to: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = ''
    const socket = connect(to, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n\r\n`))
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (data) => {
      heard += data
    })
    socket.on('end', () => resolve(heard))
    socket.on('error', reject)
  })
}

const lastRequest = (server: TestServer) =>
  server.log.map((line) => JSON.parse(line)).findLast(({ msg }) => msg === 'request') as Record<string, unknown>

describe('S-001 a foreign host', () => {
  const foreign: readonly [string, (at: string) => string][] = [
    ['another name', () => 'evil.example'],
    ['credentials before our name', (at) => `evil.com:x@${at}`],
    ['our name before another', (at) => `${at}.evil.example`],
    ['our name as credentials', (at) => `${at}@evil.example`],
    ['two hosts', (at) => `${at},evil.example`],
    ['our name with a path', (at) => `${at}/evil`],
    ['another port', () => 'localhost:1'],
    ['no port', () => 'localhost'],
    ['a trailing dot', (at) => at.replace('localhost', 'localhost.')],
    ['another name of this machine', (at) => at.replace('localhost', '127.0.0.1')],
    ['nothing', () => ''],
  ]
  it.each(foreign)('S-001 %s is turned away at every endpoint', async (_what, hostOf) => {
    const headers = { host: hostOf(`localhost:${port.plain}`) }
    for (const path of [
      METADATA,
      '/.well-known/oauth-authorization-server',
      '/jwks',
      '/',
      '/authorize?evil',
      '/nowhere',
    ])
      expectTurnedAway(await send(port.plain, path, { headers }))
    expectTurnedAway(await send(port.plain, '/token', { form: GRANT, headers: { ...headers, ...billing } }))
  })

  it('S-001 an absolute target is turned away, whatever the Host header says', async () => {
    const host = `localhost:${port.plain}`
    for (const target of [`http://evil.example${METADATA}`, `http://evil.example:${port.plain}${METADATA}`])
      for (const header of [host, 'evil.example'])
        expectTurnedAway(await send(port.plain, target, { headers: { host: header } }))
    expectTurnedAway(
      await send(port.plain, 'http://evil.example/token', { form: GRANT, headers: { host, ...billing } }),
    )
  })

  it('S-001 without a Host header, or with two that differ, nothing of the stranger comes back', async () => {
    const old = await speak(port.plain, [`GET ${METADATA} HTTP/1.0`])
    expect(old).toMatch(/^HTTP\/1\.1 (400|421) /)
    const ours = `Host: localhost:${port.plain}`
    for (const hosts of [
      [ours, 'Host: evil.example'],
      ['Host: evil.example', ours],
    ]) {
      const heard = await speak(port.plain, [`GET ${METADATA} HTTP/1.1`, ...hosts, 'Connection: close'])
      expect(heard).toMatch(/^HTTP\/1\.1 \d{3} /)
      expect(heard).not.toContain('evil')
    }
  })

  it('S-001 the right host is answered in any case of letters, with our spelling', async () => {
    const { status, body } = await send(port.plain, METADATA, { headers: { host: `LOCALHOST:${port.plain}` } })
    expect([status, body.token_endpoint]).toEqual([200, `${plain.issuer}/token`])
  })

  it('S-001 the refusal names the right address; probes of load balancers come by address and learn nothing', async () => {
    const headers = { host: 'evil.example' }
    expect((await send(port.plain, '/jwks', { headers })).body).toMatchObject({
      error: 'misdirected_request',
      error_description: expect.stringContaining(plain.issuer),
    })
    for (const path of ['/healthz', '/readyz']) {
      const answer = await send(port.plain, path, { headers })
      expect([answer.status, answer.text]).toEqual([200, '{"status":"ok"}'])
    }
  })
})

describe('S-002 forwarded headers', () => {
  const lies = {
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '203.0.113.66',
    'x-real-ip': '203.0.113.66',
    forwarded: 'for=203.0.113.66;host=evil.example;proto=https',
  }

  it('S-002 of a peer that is not listed change neither metadata, cookies, nor the address in the log', async () => {
    const host = `localhost:${port.plain}`
    const honest = await send(port.plain, METADATA, { headers: { host } })
    const lying = await send(port.plain, METADATA, { headers: { host, ...lies } })
    expect(lying.text).toBe(honest.text)
    expect(lying.headers['strict-transport-security']).toBeUndefined()
    expect(lastRequest(plain)).toMatchObject({ path: METADATA, from: '127.0.0.1' })
    // With our name in the forwarded header only, it stays a foreign host.
    const named = { ...lies, 'x-forwarded-host': host }
    expectTurnedAway(await send(port.plain, METADATA, { headers: { host: 'evil.example', ...named } }))
  })

  it('S-002 of a peer that is not listed do not make http into https', async () => {
    const headers = tls({ ...billing })
    const answer = await send(port.bare, '/token', { form: GRANT, headers })
    expect([answer.status, answer.body.access_token]).toEqual([403, undefined])
    expect(lastRequest(bare)).toMatchObject({ status: 403, from: '127.0.0.1' })
  })

  it('S-002 of a listed proxy count, from the right: what a client wrote itself is passed over', async () => {
    expect((await send(port.behind, METADATA, { headers: tls() })).body.issuer).toBe(PUBLIC)
    expect(lastRequest(behind)).toMatchObject({ from: '203.0.113.9' })
    await send(port.behind, METADATA, { headers: tls({ 'x-forwarded-for': '198.51.100.1, 203.0.113.9' }) })
    expect(lastRequest(behind)).toMatchObject({ from: '203.0.113.9' })
    // Two proxies of ours in a row: the address that the first of them saw.
    await send(port.behind, METADATA, { headers: tls({ 'x-forwarded-for': '198.51.100.1, 203.0.113.9, ::1' }) })
    expect(lastRequest(behind)).toMatchObject({ from: '203.0.113.9' })

    const http = tls({ 'x-forwarded-proto': 'https, http' })
    expect((await send(port.behind, '/token', { form: GRANT, headers: { ...http, ...billing } })).status).toBe(403)
    expectTurnedAway(
      await send(port.behind, METADATA, { headers: tls({ 'x-forwarded-host': 'login.example.com, evil.example' }) }),
    )
  })

  it('S-002 a proxy that passes its own name as Host does not change an address of ours', async () => {
    for (const forwarded of ['login.example.com', 'evil.example, login.example.com']) {
      const { status, text } = await send(port.behind, METADATA, {
        headers: tls({ host: 'evil.internal', 'x-forwarded-host': forwarded }),
      })
      expect([status, text.match(/evil/)]).toEqual([200, null])
      expect(text.match(/https?:\/\/[^/"]+/g)).toEqual(text.match(/https:\/\/login\.example\.com/g))
    }
  })
})

describe('S-004 an https issuer', () => {
  it('S-004 says on every answer that it is reached by https only', async () => {
    for (const path of [METADATA, '/jwks', '/', '/authorize', '/nowhere', '/userinfo', '/favicon.svg']) {
      const answer = await send(port.behind, path, { headers: tls({ accept: 'text/html' }) })
      expect([path, answer.headers['strict-transport-security']]).toEqual([
        path,
        expect.stringMatching(/^max-age=(\d{8,})/),
      ])
    }
    const issued = await send(port.behind, '/token', { form: GRANT, headers: tls(billing) })
    expect([issued.status, issued.headers['strict-transport-security']]).toEqual([200, expect.any(String)])
  })

  it('S-004 answers no token over http, nor anything else to a POST', async () => {
    for (const to of [port.behind, port.bare]) {
      for (const path of ['/token', '/introspect', '/revoke', '/userinfo', '/interaction/x', '/set-password']) {
        const answer = await send(to, path, {
          form: { ...GRANT, token: 'x' },
          headers: { host: 'login.example.com', ...billing },
        })
        expect([path, answer.status]).toEqual([path, 403])
        expect(answer.text).not.toMatch(/access_token|"active"/)
        expect(answer.headers.location).toBeUndefined()
      }
    }
  })

  it('S-004 sends who opens a page over http to https, and nowhere else', async () => {
    const ask = (path: string, method = 'GET') =>
      send(port.behind, path, { method, headers: { host: 'login.example.com' } })
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask('/authorize?client_id=shop', method)
      expect([answer.status, answer.headers.location]).toEqual([308, `${PUBLIC}/authorize?client_id=shop`])
    }
    for (const path of ['//evil.example/', '/\\evil.example/', '/%0d%0aX-Evil:%201', '/@evil.example']) {
      const { headers } = await ask(path)
      expect([path, URL.parse(String(headers.location))?.origin, headers['x-evil']]).toEqual([path, PUBLIC, undefined])
    }
    expect((await ask('/token', 'DELETE')).status).toBe(403)
  })

  it('S-004 an http issuer (loopback only) promises nothing', async () => {
    const { headers } = await send(port.plain, METADATA, { headers: { host: `localhost:${port.plain}` } })
    expect(headers['strict-transport-security']).toBeUndefined()
  })
})
