// Login sessions: their cookies, their values, and how long they last.
import { createHmac } from 'node:crypto'
import { type Browser, createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, obtainCode, pkce } from '../helpers/flow.ts'
import { type RawAnswer, send } from '../helpers/process.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

const HOUR = 3600
const DAY = 24 * HOUR
let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  await addCast(server)
})
afterAll(() => server.stop())

const SILENT = { prompt: 'none' }
const silentPath = () => {
  const url = authorizeUrl(server, 'spa', pkce().challenge, SILENT)
  return url.pathname + url.search
}

/** Asks for a code without a page. @returns 'code', or the error */
async function askSilently(cookie: string): Promise<string | null> {
  const answer = await fetch(server.issuer + silentPath(), { headers: { cookie }, redirect: 'manual' })
  const back = new URL(answer.headers.get('location') ?? 'about:blank')
  return back.searchParams.has('code') ? 'code' : back.searchParams.get('error')
}

const sessionCookie = async (browser: Browser) =>
  (await browser.jar.getCookies(server.issuer))
    .filter(({ key }) => key.startsWith('gatehouse-session'))
    .map((cookie) => cookie.cookieString())
    .join('; ')
const valueIn = (cookie: string) => /gatehouse-session=([^;]*)/.exec(cookie)?.[1] ?? ''

describe('S-179', () => {
  it('a planted session value is not adopted, even one that this server gave out and signed', async () => {
    const attacker = createBrowser(server.issuer)
    await attacker.open(`${server.issuer}/logout`)
    const planted = await sessionCookie(attacker)
    expect(planted).toMatch(/gatehouse-session=[\w-]+; gatehouse-session\.sig=/)
    const victim = createBrowser(server.issuer)
    for (const cookie of planted.split('; ')) await victim.jar.setCookie(`${cookie}; Path=/`, server.issuer)
    await obtainCode(server, 'spa', {}, victim)
    const now = await sessionCookie(victim)
    expect(valueIn(now)).not.toBe(valueIn(planted))
    expect([await askSilently(now), await askSilently(planted)]).toEqual(['code', 'login_required'])
  })

  it('each sign-in gives a new value of 128 bits or more, and the old one is nobody', async () => {
    const browser = createBrowser(server.issuer)
    const seen: string[] = []
    for (let time = 0; time < 3; time++) {
      await obtainCode(server, 'spa', { prompt: 'login' }, browser)
      seen.push(await sessionCookie(browser))
    }
    expect(new Set(seen.map(valueIn)).size).toBe(3)
    // 21 characters of 64 are 126 bits; the row is found by a keyed hash of all of them.
    for (const cookie of seen) expect(valueIn(cookie).length).toBeGreaterThanOrEqual(21)
    expect(await Promise.all(seen.map(askSilently))).toEqual(['login_required', 'login_required', 'code'])
  })
})

describe('S-180 cookies', () => {
  interface Cookie {
    readonly name: string
    readonly flags: readonly string[]
  }
  const parse = (cookies: readonly string[]): Cookie[] =>
    cookies
      .filter((cookie) => !/expires=Thu, 01 Jan 1970/i.test(cookie))
      .map((cookie) => {
        const [pair, ...flags] = cookie.split('; ')
        return { name: pair!.split('=')[0]!, flags: flags.map((flag) => flag.toLowerCase()) }
      })

  it('over http on this machine: HttpOnly, SameSite=Lax, no Domain, plain names', async () => {
    const seen: string[] = []
    const browser = createBrowser(server.issuer)
    const page = await browser.open(authorizeUrl(server, 'spa', pkce().challenge))
    seen.push(...page.headers.getSetCookie())
    const first = await fetch(authorizeUrl(server, 'spa', pkce().challenge), { redirect: 'manual' })
    seen.push(...first.headers.getSetCookie())
    await browser.press(page, 'sign-in', { email: 'ada@example.com', password: PASSWORD })
    const silent = await browser.request(server.issuer + silentPath())
    seen.push(...silent.headers.getSetCookie())
    const cookies = parse(seen)
    const names = ['gatehouse-form', 'gatehouse-interaction', 'gatehouse-resume', 'gatehouse-session']
    expect([...new Set(cookies.map(({ name }) => name.replace('.sig', '')))].sort()).toEqual(names)
    for (const { flags } of cookies) {
      expect(flags).toEqual(expect.arrayContaining(['httponly', 'samesite=lax']))
      expect(flags.filter((flag) => /^(domain|secure)/.test(flag))).toEqual([])
    }
  })

  it('over https behind a proxy: Secure, __Host- where the path is /, __Secure- else; other names are not read', async () => {
    const secure = await startTestServer({
      database: server.database,
      env: { GATEHOUSE_ISSUER: 'https://login.example.com', GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1, ::1' },
    })
    try {
      const jar = new Map<string, string>()
      const seen: string[] = []
      const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.7', host: 'login.example.com' }
      const go = async (path: string, form?: Record<string, string>, cookies?: string): Promise<RawAnswer> => {
        const cookie = cookies ?? [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
        const answer = await send(secure.rooms.config.port, path, { form, headers: { ...forwarded, cookie } })
        for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
          seen.push(line)
          const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
          jar.set(name!, value!)
        }
        return answer
      }
      const authorize = (params = {}) => {
        const url = authorizeUrl(secure, 'spa', pkce().challenge, params)
        return url.pathname + url.search
      }
      const login = String((await go(authorize())).headers.location)
      const csrf = /name="csrf" value="([^"]+)"/.exec((await go(login)).text)![1]!
      const form = { csrf, email: 'ada@example.com', password: PASSWORD, action: 'sign-in' }
      const resume = String((await go(login, form)).headers.location)
      expect(resume).toMatch(/^https:\/\/login\.example\.com\/authorize\//)
      const back = String((await go(new URL(resume).pathname)).headers.location)
      expect(new URL(back).searchParams.get('code')).toMatch(/^gth_ac_/)

      const cookies = parse(seen)
      const bare = [...new Set(cookies.map(({ name }) => name.replace('.sig', '')))].sort()
      expect(bare).toEqual([
        '__Host-gatehouse-device',
        '__Host-gatehouse-form',
        '__Host-gatehouse-session',
        '__Secure-gatehouse-interaction',
        '__Secure-gatehouse-resume',
      ])
      for (const { name, flags } of cookies) {
        expect(flags).toEqual(expect.arrayContaining(['secure', 'httponly', 'samesite=lax']))
        expect(flags.filter((flag) => flag.startsWith('domain'))).toEqual([])
        if (name.startsWith('__Host-')) expect(flags).toContain('path=/')
      }

      // A neighbouring subdomain can set a cookie for the whole domain, but not under these names.
      const value = jar.get('__Host-gatehouse-session')!
      const signature = jar.get('__Host-gatehouse-session.sig')!
      const own = `__Host-gatehouse-session=${value}; __Host-gatehouse-session.sig=${signature}`
      const outcome = async (cookie: string) =>
        new URL(String((await go(authorize(SILENT), undefined, cookie)).headers.location)).searchParams.get('error')
      const foreign = `gatehouse-session=${value}; gatehouse-session.sig=${signature}`
      expect([await outcome(foreign), await outcome(own)]).toEqual(['login_required', null])
    } finally {
      await secure.stop()
    }
  })
})

it('S-181 altered and malformed cookies are nobody, and never a fault of ours', async () => {
  const browser = createBrowser(server.issuer)
  await obtainCode(server, 'spa', {}, browser)
  const good = await sessionCookie(browser)
  expect(await askSilently(good)).toBe('code')
  const fresh = await sessionCookie(browser)
  const [value, signature] = fresh.split('; ').map((part) => part.split('=').slice(1).join('=')) as [string, string]
  const pair = (a: string, b?: string) =>
    `gatehouse-session=${a}${b === undefined ? '' : `; gatehouse-session.sig=${b}`}`
  const flip = (text: string) => (text[0] === 'A' ? 'B' : 'A') + text.slice(1)
  const other = createHmac('sha1', 'another key').update(pair(value)).digest('base64url')
  const cookies = [
    pair(value),
    pair(value, ''),
    pair(value, flip(signature)),
    pair(value, signature.slice(1)),
    pair(value, `${signature}A`),
    pair(value, other),
    pair(flip(value), signature),
    pair(value.slice(0, -1), signature),
    pair(value.toUpperCase(), signature),
    pair(`"${flip(value)}"`, signature),
    pair('', signature),
    pair('null', 'null'),
    pair('__proto__', signature),
    pair('constructor', 'constructor'),
    pair('%00', '%00'),
    pair('%E0%A4%A', '%'),
    pair('../../etc/passwd', signature),
    pair("' or 1=1 --", signature),
    pair('{"accountId":"usr_x"}', signature),
    pair('\u00ff\u00fe', '\u00e9'),
    pair('x'.repeat(6000), 'y'.repeat(6000)),
    `gatehouse-session; gatehouse-session.sig=${signature}`,
    `${pair(flip(value), signature)}; ${pair(value, flip(signature))}`,
    ';;; = ;=;gatehouse-session.sig',
    `gatehouse-interaction=${value}; gatehouse-interaction.sig=${signature}`,
    `gatehouse-resume=${value}; gatehouse-resume.sig=${signature}; gatehouse-form=${value}`,
    'gatehouse-form=%; gatehouse-form.sig=%; gatehouse-interaction=%; gatehouse-resume=%',
  ]
  const { port } = server.rooms.config
  const get = (path: string, cookie: string) =>
    send(port, path, { headers: { host: new URL(server.issuer).host, cookie, accept: 'text/html' } })
  for (const cookie of cookies) {
    const silent = await get(silentPath(), cookie)
    expect([cookie, String(silent.headers.location)]).toEqual([cookie, expect.stringContaining('error=login_required')])
    for (const path of ['/logout', '/interaction/x', '/authorize/x', '/set-password?token=x', '/userinfo', '/']) {
      expect([cookie, path, (await get(path, cookie)).status < 500]).toEqual([cookie, path, true])
    }
    expect((await get('/logout', cookie)).text).not.toContain('You are about to sign out')
  }
  expect(server.log.filter((line) => /"level":(50|60)/.test(line))).toEqual([])
  expect(await askSilently(fresh)).toBe('code')
})

describe('S-182', () => {
  beforeEach(() => holdClock())
  afterEach(() => releaseClock())

  /** Signs in. @returns a function that replays the newest cookie as the browser would, expired or not */
  async function begin() {
    const browser = createBrowser(server.issuer)
    await obtainCode(server, 'spa', {}, browser)
    const cookie = await sessionCookie(browser)
    return () => askSilently(cookie)
  }

  it('a session ends after 12 hours without use', async () => {
    const ask = await begin()
    passSeconds(12 * HOUR - 2)
    expect(await ask()).toBe('code')
    passSeconds(12 * HOUR - 2)
    expect(await ask()).toBe('code')
    passSeconds(12 * HOUR + 2)
    expect(await ask()).toBe('login_required')
  })

  it('and 7 days after the sign-in, however busy', async () => {
    const ask = await begin()
    for (let turn = 0; turn < 15; turn++) {
      passSeconds(11 * HOUR)
      expect(await ask()).toBe('code')
    }
    // The sign-in counts from its whole second, which may have been almost over.
    passSeconds(7 * DAY - 15 * 11 * HOUR - 1.5)
    expect(await ask()).toBe('code')
    // More often than once a second, in case a rounded second could be had again and again.
    const late = []
    for (let time = 0; time < 8; time++) {
      passSeconds(0.4)
      late.push(await ask())
    }
    expect(late.slice(3)).toEqual(Array(5).fill('login_required'))
  })
})
