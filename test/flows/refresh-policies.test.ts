// Who gets a refresh token, what it may still ask for, and what ends with a sign-out.

import { load } from 'cheerio'
import { decodeJwt } from 'jose'
import { type Browser, createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, introspect, obtainTokens, passPages, pkce, refresh, type TokenAnswer } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let scopes: Record<string, readonly string[]>
const api = () => ({ id: 'orders-api', secret: cast.api })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  scopes = (await server.rooms.clients.find('shop'))!.scopes
})
afterAll(() => server.stop())
afterEach(releaseClock)

let made = 0
async function addClient(refreshPolicy: 'none' | 'session' | 'offline', isPublic = false) {
  const id = `client-${++made}`
  const kind = isPublic ? { kind: 'spa' as const, authMethod: 'none' as const } : {}
  return { id, secret: await server.addClient({ id, scopes, refresh: refreshPolicy, ...kind }) }
}
const words = (scope?: string) => new Set(scope?.split(' '))
const active = async (token: string) => (await introspect(server, api(), token)).active
const userinfo = async (token: string) =>
  (await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status

async function signOut(browser: Browser, idToken: string): Promise<void> {
  const page = await browser.open(`${server.issuer}/logout?${new URLSearchParams({ id_token_hint: idToken })}`)
  const done = await browser.press(page, 'yes')
  expect(load(done.html)('h1').text()).toMatch(/signed out/i)
}

/** Tokens of each form for one person and app in one browser. */
async function everyToken(client: { id: string; secret: string }, params: Record<string, string> = {}) {
  const jwt = await obtainTokens(server, client, {
    ...params,
    scope: `openid orders:read ${params.scope ?? ''}`.trim(),
  })
  const opaque = await obtainTokens(
    server,
    client,
    { ...params, scope: `openid things:read ${params.scope ?? ''}`.trim() },
    jwt.browser,
  )
  return { jwt, opaque, browser: jwt.browser }
}

describe.each([
  ['confidential', false],
  ['public', true],
])('a %s client', (_kind, isPublic) => {
  it('refresh: none gets no refresh token, not even with offline_access', async () => {
    const client = await addClient('none', isPublic)
    for (const params of [{}, { scope: 'openid offline_access', prompt: 'consent' }]) {
      const { body } = await obtainTokens(server, client, params)
      expect(body).not.toHaveProperty('refresh_token')
      expect(words(body.scope).has('offline_access')).toBe(false)
    }
  })

  it('refresh: session: a sign-out ends refresh tokens and access tokens, JWT and opaque', async () => {
    const client = await addClient('session', isPublic)
    const { jwt, opaque, browser } = await everyToken(client)
    for (const { body } of [jwt, opaque]) {
      expect([await active(body.access_token), await userinfo(body.access_token)]).toEqual([true, 200])
      expect((await refresh(server, client, body.refresh_token)).status).toBe(200)
    }
    const again = await everyToken(client)
    await signOut(browser, jwt.body.id_token)
    for (const { body } of [jwt, opaque]) {
      expect([await active(body.access_token), await userinfo(body.access_token)]).toEqual([false, 401])
      const answer = await refresh(server, client, body.refresh_token)
      expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant'])
    }
    // Another browser of the same person stays signed in.
    expect(await active(again.jwt.body.access_token)).toBe(true)
    expect((await refresh(server, client, again.jwt.body.refresh_token)).status).toBe(200)
  })

  it('refresh: offline: a sign-out ends nothing', async () => {
    const client = await addClient('offline', isPublic)
    const { jwt, opaque, browser } = await everyToken(client)
    await signOut(browser, jwt.body.id_token)
    for (const { body } of [jwt, opaque]) {
      expect([await active(body.access_token), await userinfo(body.access_token)]).toEqual([true, 200])
      expect((await refresh(server, client, body.refresh_token)).status).toBe(200)
    }
  })

  it('the session of a person who stays away ends, and refresh: session with it; offline goes on', async () => {
    holdClock()
    const [session, offline] = [await addClient('session', isPublic), await addClient('offline', isPublic)]
    const short = await obtainTokens(server, session)
    const long = await obtainTokens(server, offline)
    passSeconds(11 * 3600)
    const kept = await refresh(server, session, short.body.refresh_token)
    expect(kept.status).toBe(200)
    passSeconds(2 * 3600)
    expect((await refresh(server, session, kept.body.refresh_token)).body.error).toBe('invalid_grant')
    passSeconds(8 * 24 * 3600)
    expect((await refresh(server, offline, long.body.refresh_token)).status).toBe(200)
  })
})

describe('offline_access', () => {
  it('S-097 with prompt=consent the page says “Stay connected”, and a sign-out ends nothing', async () => {
    const client = await addClient('session')
    const browser = createBrowser(server.issuer)
    const url = authorizeUrl(server, client.id, pkce().challenge, { scope: 'openid offline_access', prompt: 'consent' })
    const page = await browser.press(await browser.open(url), 'sign-in', {
      email: 'ada@example.com',
      password: PASSWORD,
    })
    expect(page.html).toContain('Stay connected')
    const { jwt, opaque, browser: other } = await everyToken(client, { scope: 'offline_access', prompt: 'consent' })
    expect(
      words(jwt.body.scope).has('offline_access') ||
        words(decodeJwt(jwt.body.access_token).scope as string).has('offline_access'),
    ).toBe(false)
    await signOut(other, jwt.body.id_token)
    for (const { body } of [jwt, opaque]) {
      expect(await active(body.access_token)).toBe(true)
      expect((await refresh(server, client, body.refresh_token)).status).toBe(200)
    }
  })

  it('S-097 without prompt=consent it is left out: the page does not say so, and a sign-out ends all', async () => {
    const client = await addClient('session')
    const browser = createBrowser(server.issuer)
    const url = authorizeUrl(server, client.id, pkce().challenge, { scope: 'openid offline_access' })
    const page = await browser.press(await browser.open(url), 'sign-in', {
      email: 'ada@example.com',
      password: PASSWORD,
    })
    expect(page.html).not.toContain('Stay connected')
    expect((await passPages(browser, page)).url.searchParams.has('code')).toBe(true)
    const { body, browser: other } = await obtainTokens(server, client, { scope: 'openid offline_access orders:read' })
    expect(words(body.scope)).toEqual(new Set(['openid', 'orders:read']))
    await signOut(other, body.id_token)
    expect(await active(body.access_token)).toBe(false)
    expect((await refresh(server, client, body.refresh_token)).body.error).toBe('invalid_grant')
  })
})

describe('scopes at a refresh', () => {
  const scopeOf = ({ body }: TokenAnswer) => words(decodeJwt(body.access_token).scope as string)

  it.each([
    ['confidential', false],
    ['public', true],
  ])('S-089 %s: they shrink for one access token, and do not grow', async (_kind, isPublic) => {
    const client = await addClient('session', isPublic)
    const all = ['openid', 'email', 'orders:read', 'orders:write']
    let { body } = (await obtainTokens(server, client, { scope: all.join(' ') })) as TokenAnswer
    const next = async (scope?: string) => {
      const answer = await refresh(server, client, body.refresh_token, scope === undefined ? {} : { scope })
      if (answer.status === 200) body = answer.body
      return answer
    }
    expect(scopeOf(await next('orders:read'))).toEqual(new Set(['orders:read']))
    expect(words(body.scope)).toEqual(new Set(['orders:read']))
    expect(body).not.toHaveProperty('id_token')
    expect(await userinfo(body.access_token)).toBe(403)
    expect(scopeOf(await next('openid orders:read'))).toEqual(new Set(['openid', 'orders:read']))
    expect(await userinfo(body.access_token)).toBe(200)
    expect(scopeOf(await next())).toEqual(new Set(all))
    for (const scope of ['things:read', 'openid profile', 'orders:read nosuch', 'offline_access'])
      expect((await next(scope)).body.error).toBe('invalid_scope')
    expect(scopeOf(await next())).toEqual(new Set(all))
  })
})
