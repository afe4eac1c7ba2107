// Pages under way belong to one browser, end in time, and believe nothing that their address says (SECURITY S-043, S-044, S-046).
import { load } from 'cheerio'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, obtainCode, obtainTokens, passPages, pkce, redeem } from '../helpers/flow.ts'
import { addCast, CALLBACK, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addPerson('bob@example.com')
})
afterAll(() => server.stop())
afterEach(releaseClock)

const ask = (params: Record<string, string | undefined> = {}) => authorizeUrl(server, 'shop', pkce().challenge, params)
const signIn = (browser: Browser, page: Page, email = 'ada@example.com') =>
  browser.press(page, 'sign-in', { email, password: PASSWORD })
const words = (page: Page) => load(page.html)('main').text().replace(/\s+/g, ' ')

type Under = Awaited<ReturnType<typeof underWay>>[number]

/** @returns a browser at its sign-in page, and one at its consent page */
async function underWay() {
  const first = createBrowser(server.issuer)
  const second = createBrowser(server.issuer)
  const consent = await signIn(second, await second.open(ask({ prompt: 'consent' })))
  return [
    { browser: first, page: await first.open(ask()) },
    { browser: second, page: consent },
  ]
}

it('S-043 an interaction opened in another browser is refused, at each of its addresses', async () => {
  for (const { browser, page } of await underWay()) {
    const uid = page.url.pathname.split('/')[2]!
    const other = createBrowser(server.issuer)
    // One with an interaction and a session of its own, too.
    const busy = (await obtainCode(server, 'shop')).browser
    await busy.open(ask({ prompt: 'login' }))
    for (const stranger of [other, busy]) {
      for (const path of [`/interaction/${uid}`, `/interaction/${uid}/switch`, `/authorize/${uid}`]) {
        const seen = await stranger.open(`${server.issuer}${path}`)
        expect([path, seen.left, seen.status]).toEqual([path, false, 400])
        expect(seen.html).not.toContain('<input')
        expect(seen.html).not.toContain('ada@example.com')
      }
      for (const button of ['sign-in', 'allow', 'deny', 'cancel', 'switch']) {
        if (!page.html.includes(`value="${button}"`)) continue
        const pressed = await stranger.press(page, button, { email: 'bob@example.com', password: PASSWORD })
        expect([button, pressed.left, pressed.status]).toEqual([button, false, 400])
      }
    }
    const done = await passPages(browser, page)
    expect(done.url.searchParams.has('code')).toBe(true)
  }
})

it('S-043 the cookie of one interaction does not open another of the same browser', async () => {
  const browser = createBrowser(server.issuer)
  const one = await browser.open(ask())
  const two = await browser.open(ask())
  const cookie = await browser.jar.getCookieString(one.url.href)
  const seen = await browser.request(two.url, { headers: { cookie } })
  expect(seen.status).toBe(400)
  expect((await browser.request(one.url, { headers: { cookie } })).status).toBe(200)
})

it.each([
  ['sign-in', 0],
  ['consent', 1],
])('S-043 after 15 minutes the %s page says so, and offers to start again', async (_what, which) => {
  holdClock()
  const { browser, page } = (await underWay())[which]!
  const cookie = await browser.jar.getCookieString(page.url.href)
  passSeconds(14 * 60)
  expect((await browser.open(page.url)).status).toBe(200)
  passSeconds(61)
  const late = await browser.open(page.url)
  expect([late.status, words(late).includes('This page is too old')]).toEqual([400, true])
  // A browser whose clock runs behind still sends its cookies.
  expect((await browser.request(page.url, { headers: { cookie } })).status).toBe(400)
  const pressed = which === 1 ? await browser.press(page, 'allow') : await signIn(browser, page)
  expect([pressed.left, pressed.status]).toEqual([false, 400])
  const again = new URL(load(late.html)('main a[href]').attr('href')!, server.issuer)
  expect(again.origin).toBe(server.issuer)
  const done = await passPages(browser, await browser.open(again))
  expect([done.url.href.startsWith(CALLBACK), done.url.searchParams.get('state')]).toEqual([true, 'the state'])
})

it('S-044 cookies hold opaque ids and signatures, nothing of the request, the app or the person', async () => {
  const browser = createBrowser(server.issuer)
  const state = 'state-that-only-the-server-keeps'
  const page = await browser.open(
    ask({ state, login_hint: 'ada@example.com', nonce: 'nonce-of-the-app', resource: ORDERS }),
  )
  const consent = await signIn(browser, page)
  const seen = new Map<string, string>()
  const collect = async () => {
    for (const { key, value } of (await browser.jar.serialize()).cookies) seen.set(`${key}=${value}`, value!)
  }
  await collect()
  await browser.press(consent, 'allow')
  await collect()
  expect(seen.size).toBeGreaterThan(4)
  for (const [cookie, value] of seen) {
    if (!value) continue
    expect(cookie).toMatch(/^gatehouse-[a-z.]+=[\w-]{21,43}$/)
    for (const text of [value, Buffer.from(value, 'base64').toString('latin1')])
      for (const known of [state, 'ada@example', 'nonce-of', 'orders', 'callback', cast.ada])
        expect(text).not.toContain(known)
  }
  // What is not in the cookies cannot be changed there: a made-up or altered one is nobody's.
  const { challenge } = pkce()
  const fresh = await browser.open(authorizeUrl(server, 'shop', challenge, { prompt: 'consent' }))
  const jar = await browser.jar.getCookieString(fresh.url.href)
  const altered = jar.replace(
    /(gatehouse-interaction=)./,
    (_, name) => `${name}${jar.includes(`${name}A`) ? 'B' : 'A'}`,
  )
  expect(altered).not.toBe(jar)
  expect((await browser.request(fresh.url, { headers: { cookie: altered } })).status).toBe(400)
})

it('S-044 a session cookie that was altered, or signed with another key, is no session', async () => {
  const { browser } = await obtainCode(server, 'shop')
  const url = ask({ prompt: 'none' })
  const good = await browser.jar.getCookieString(url.href)
  const silently = async (cookie: string) =>
    new URL((await createBrowser(server.issuer).request(url, { headers: { cookie } })).headers.get('location')!)
      .searchParams
  expect((await silently(good)).has('code')).toBe(true)
  const value = /gatehouse-session=([\w-]+)/.exec(good)![1]!
  const swapped = `${value.startsWith('A') ? 'B' : 'A'}${value.slice(1)}`
  for (const bad of [
    good.replace(value, swapped),
    `gatehouse-session=${value}`,
    good.replace(/(session\.sig=)[\w-]+/, `$1${'A'.repeat(27)}`),
  ])
    expect((await silently(bad)).get('error')).toBe('login_required')
})

it('S-046 what the pages show and do comes from the stored request, whatever their address says', async () => {
  const evil = new URLSearchParams({
    client_id: 'spa',
    scope: 'openid orders:write',
    redirect_uri: 'https://evil.example/cb',
    state: 'evil',
    resource: 'https://evil.example',
    login_hint: 'eve@example.com',
    response_mode: 'fragment',
    uid: 'x',
    prompt: 'none',
    action: 'allow',
  })
  const browser = createBrowser(server.issuer)
  const proof = pkce()
  const open = async (page: Page) => {
    const seen = await browser.open(`${page.url.origin}${page.url.pathname}?${evil}`)
    expect(words(seen)).toBe(words(page))
    expect(seen.headers.get('content-security-policy')).toBe(page.headers.get('content-security-policy'))
    expect(seen.html).not.toMatch(/evil|eve@|Our app|Place and cancel/)
    return { ...seen, url: new URL(`${page.url.origin}${page.url.pathname}?${evil}`) }
  }
  const page = await open(
    await browser.open(
      authorizeUrl(server, 'shop', proof.challenge, { scope: 'openid orders:read', prompt: 'consent' }),
    ),
  )
  const consent = await open(await signIn(browser, page))
  expect(words(consent)).toContain('See your orders')
  // Fields that the form does not have change nothing either.
  const uid = consent.url.pathname.split('/')[2]
  const body = new URLSearchParams({
    ...Object.fromEntries(evil),
    csrf: load(consent.html)('input[name=csrf]').attr('value')!,
    action: 'allow',
  })
  const posted = await browser.request(`${server.issuer}/interaction/${uid}?${evil}`, {
    method: 'POST',
    body,
    headers: { origin: server.issuer, 'content-type': 'application/x-www-form-urlencoded' },
  })
  const done = await browser.open(`${posted.headers.get('location')}?${evil}`)
  expect(`${done.url.origin}${done.url.pathname}`).toBe(CALLBACK)
  expect(done.url.searchParams.getAll('state')).toEqual(['the state'])
  const tokens = await redeem(server, shop(), { code: done.url.searchParams.get('code')!, ...proof })
  expect(new Set(tokens.body.scope!.split(' '))).toEqual(new Set(['openid', 'orders:read']))
})

describe('the consent page', () => {
  it('“Switch account” lets somebody else sign in, and the answer is for them', async () => {
    const browser = createBrowser(server.issuer)
    const proof = pkce()
    const page = await browser.open(
      authorizeUrl(server, 'shop', proof.challenge, { scope: 'openid email', prompt: 'consent' }),
    )
    const asAda = await signIn(browser, page)
    expect(words(asAda)).toContain('Signed in as ada@example.com')
    const switching = await browser.press(asAda, 'switch')
    expect(words(switching)).toContain('Switch account')
    const step = await signIn(browser, switching, 'bob@example.com')
    // A browser looks at this for the redirects after the form, too: one of them may lead to the app.
    expect(step.headers.get('content-security-policy')).toContain(
      `form-action 'self' ${server.issuer} ${new URL(CALLBACK).origin}`,
    )
    const at = await browser.press(step, '')
    expect(words(at)).toContain('Signed in as bob@example.com')
    const done = await browser.press(at, 'allow')
    const tokens = await redeem(server, shop(), { code: done.url.searchParams.get('code')!, ...proof })
    const told = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${tokens.body.access_token}` },
    })
    expect(await told.json()).toMatchObject({ email: 'bob@example.com' })
    // The browser is Bob's now.
    const next = await browser.open(ask({ prompt: 'consent' }))
    expect(words(next)).toContain('Signed in as bob@example.com')
  })

  it.each(['cancel', 'deny'])('“Cancel” (%s) answers access_denied to the app, and gives nothing', async (button) => {
    const browser = createBrowser(server.issuer)
    let page = await browser.open(ask({ prompt: 'consent' }))
    if (button === 'deny') page = await signIn(browser, page)
    const done = await browser.press(page, button)
    expect(`${done.url.origin}${done.url.pathname}`).toBe(CALLBACK)
    expect(Object.fromEntries(done.url.searchParams)).toEqual({
      error: 'access_denied',
      error_description: expect.any(String),
      state: 'the state',
      iss: server.issuer,
    })
    // Asked again, the person may decide otherwise.
    expect((await obtainTokens(server, shop(), { prompt: 'consent' }, browser)).status).toBe(200)
  })
})

it('pressing cancel is in the audit where somebody is signed in; strangers cannot fill it', async () => {
  const entries = async () => {
    const { rows } = await server.database.pool().query('select kind, actor from audit_entries order by id')
    return rows as { kind: string; actor: string }[]
  }
  const [{ browser, page }, consent] = (await underWay()) as [Under, Under]
  const before = await entries()
  const cancelled = await browser.press(page, 'cancel')
  expect([cancelled.left, cancelled.url.searchParams.get('error')]).toEqual([true, 'access_denied'])
  expect(await entries()).toEqual(before)
  await consent.browser.press(consent.page, 'deny')
  expect((await entries()).slice(before.length)).toEqual([{ kind: 'consent.refused', actor: cast.ada }])
})
