// Userinfo answers every access token of ours that carries `openid`, whatever API it is for and whatever its form.
import { SignJWT } from 'jose'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { obtainTokens, post } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())
afterEach(releaseClock)

async function ask(token: string, init: RequestInit = {}) {
  const response = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` }, ...init })
  const text = await response.text()
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    headers: response.headers,
    body: JSON.parse(text),
  }
}

const forms = [
  ['for userinfo alone', ''],
  ['for an API, as a JWT', 'orders:read'],
  ['for an API, opaque', 'things:read'],
] as const

describe.each(forms)('a token %s', (_what, apiScope) => {
  const obtain = (scope: string) => obtainTokens(server, shop(), { scope: `${scope} ${apiScope}`.trim() })

  it('tells what its scopes allow, and no more', async () => {
    const known = { sub: cast.ada, name: 'Ada Lovelace', email: 'ada@example.com', email_verified: false }
    for (const [scope, claims] of [
      ['openid', ['sub']],
      ['openid profile', ['sub', 'name']],
      ['openid email', ['sub', 'email', 'email_verified']],
      ['openid profile email', ['sub', 'name', 'email', 'email_verified']],
    ] as const) {
      const { body: tokens } = await obtain(scope)
      const { status, body, headers } = await ask(tokens.access_token)
      expect([status, body]).toEqual([200, Object.fromEntries(claims.map((claim) => [claim, known[claim]]))])
      expect(headers.get('cache-control')).toContain('no-store')
    }
  })

  it('may come by POST in the header, or in a form; never in the address', async () => {
    const { body } = await obtain('openid')
    const token = body.access_token
    expect((await ask(token, { method: 'POST' })).status).toBe(200)
    expect(
      (await ask('', { method: 'POST', headers: {}, body: new URLSearchParams({ access_token: token }) })).status,
    ).toBe(200)
    const inAddress = await fetch(`${server.issuer}/userinfo?access_token=${encodeURIComponent(token)}`)
    expect([400, 401]).toContain(inAddress.status)
    expect(await inAddress.json()).not.toHaveProperty('sub')
  })

  it('is refused once it has ended, with the challenge of RFC 6750', async () => {
    const refused = async (token: string) => {
      const { status, body, challenge } = await ask(token)
      expect([status, body.error, body.sub]).toEqual([401, 'invalid_token', undefined])
      expect(challenge).toMatch(/^Bearer realm=.*error="invalid_token"/)
    }
    const revoked = (await obtain('openid')).body
    await post(server, '/revoke', { token: revoked.access_token }, shop())
    await refused(revoked.access_token)

    const family = (await obtain('openid')).body
    await post(server, '/revoke', { token: family.refresh_token }, shop())
    await refused(family.access_token)

    holdClock()
    const old = (await obtain('openid')).body
    passSeconds(599)
    expect((await ask(old.access_token)).status).toBe(200)
    passSeconds(12) // ten seconds of tolerance for clocks
    await refused(old.access_token)
  })
})

it.each(['orders:read', 'things:read'])('a token for %s without openid is refused for its scope', async (scope) => {
  const { body } = await obtainTokens(server, shop(), { scope })
  const answer = await ask(body.access_token)
  expect([answer.status, answer.body.error]).toEqual([403, 'insufficient_scope'])
  expect(answer.challenge).toContain('scope="openid"')
})

it('what is no access token of a person is refused', async () => {
  const { body } = await obtainTokens(server, shop(), { scope: 'openid orders:read' })
  const machine = await post(server, '/token', { grant_type: 'client_credentials', scope: 'orders:read' }, shop())
  const opaque = await post(server, '/token', { grant_type: 'client_credentials', scope: 'things:read' }, shop())
  const [header, payload, signature] = body.access_token.split('.') as [string, string, string]
  const forged = await new SignJWT(JSON.parse(Buffer.from(payload, 'base64url').toString()))
    .setProtectedHeader(JSON.parse(Buffer.from(header, 'base64url').toString().replace('ES256', 'HS256')))
    .sign(new TextEncoder().encode('x'.repeat(32)))
  for (const token of [
    body.id_token,
    body.refresh_token,
    machine.body.access_token,
    opaque.body.access_token,
    forged,
    `${header}.${payload}.${signature.split('').reverse().join('')}`,
    `${header}.${payload}.`,
    'a.b.c',
    'gth_at_x',
    `gth_at_${'0'.repeat(49)}`,
    'x',
  ]) {
    const answer = await ask(token)
    expect([401, 403]).toContain(answer.status)
    expect(answer.body).not.toHaveProperty('sub')
  }
  expect((await ask(body.access_token)).status).toBe(200)
})
