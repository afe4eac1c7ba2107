// The pages in a real Chromium, as people meet them: without JavaScript, on a small phone, by keyboard, in light and dark.
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import Koa from 'koa'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { assets } from '../../src/http/assets.ts'
import { pageHeaders } from '../../src/http/page-headers.ts'
import { type Pages, renderPage } from '../../src/http/views.ts'
import { launchChromium } from '../helpers/chromium.ts'
import { pageSamples as samples } from '../helpers/page-samples.ts'
import { until } from '../helpers/until.ts'

type Name = keyof Pages
const LONG = `${'W'.repeat(200)} ${'long words '.repeat(30)}`
const { csrf, action, appName } = samples.signIn
const THROTTLED = 'Too many tries. Try again in 3 minutes, at 14:05 UTC.'

/** Every state that is looked at, by its address. */
const states: Record<string, string> = {
  ...Object.fromEntries((Object.keys(samples) as Name[]).map((name) => [name, renderPage(name, samples[name])])),
  'signIn-first': renderPage('signIn', { appName, csrf, action }),
  'signIn-long': renderPage('signIn', { ...samples.signIn, switching: false, appName: LONG }),
  'signIn-throttled': renderPage('signIn', {
    ...samples.signIn,
    switching: false,
    error: undefined,
    throttled: THROTTLED,
  }),
  'setPassword-throttled': renderPage('setPassword', {
    ...samples.setPassword,
    error: undefined,
    throttled: THROTTLED,
  }),
  'setup-throttled': renderPage('setup', { ...samples.setup, errors: undefined, throttled: THROTTLED }),
  'consent-bare': renderPage('consent', { ...samples.consent, groups: [], staysConnected: false }),
  'consent-long': renderPage('consent', {
    ...samples.consent,
    appName: LONG,
    appHost: `${'a.'.repeat(100)}example.com`,
    accountEmail: `${'a'.repeat(60)}@${'b'.repeat(60)}.example`,
    groups: [{ resourceName: LONG, items: [{ text: LONG, risk: 'high' }] }],
  }),
  'error-long': renderPage('error', { ...samples.error, title: LONG, what: LONG, requestId: LONG, code: LONG }),
  'expired-bare': renderPage('expired', {}),
  'setup-first': renderPage('setup', { csrf, token: 't', action: '/admin/setup' }),
  'setPassword-first': renderPage('setPassword', {
    email: 'ada@example.com',
    csrf,
    token: 't',
    action: '/set-password',
  }),
}

interface Post {
  readonly path: string
  readonly fields: Record<string, string>
}

let browser: Browser
let server: Server
let origin: string
let app: { origin: string; server: Server }
let formAction: string[] = []
const posts: Post[] = []

beforeAll(async () => {
  browser = await launchChromium()
  const elsewhere = new Koa()
  elsewhere.use((ctx) => {
    ctx.body = 'back at the app'
  })
  app = await listen(elsewhere)
  const pages = new Koa()
  pages.use(assets())
  pages.use(async (ctx) => {
    if (ctx.method === 'POST') {
      posts.push({ path: ctx.path, fields: Object.fromEntries(new URLSearchParams(await text(ctx.req))) })
      if (ctx.path === samples.consent.action) {
        ctx.status = 303
        ctx.set('Location', `${app.origin}/callback`)
      } else ctx.body = 'posted'
      return
    }
    const state = ctx.path.slice(1)
    ctx.set(pageHeaders({ formAction }))
    if (state === 'formPost')
      ctx.body = renderPage('formPost', { action: `${origin}/callback`, fields: { code: 'c', state: 's t' } })
    else if (state === 'signOut')
      ctx.body = states.signOut!.replace(/action="[^"]+"/, `action="${origin}/logout/confirm"`)
    else if (states[state]) ctx.body = states[state]
  })
  ;({ origin, server } = await listen(pages))
})

afterAll(async () => {
  await browser?.close()
  server?.close()
  app?.server.close()
})

async function listen(koa: Koa): Promise<{ origin: string; server: Server }> {
  const listening = koa.listen(0, '127.0.0.1')
  await new Promise((done) => listening.once('listening', done))
  return { server: listening, origin: `http://127.0.0.1:${(listening.address() as AddressInfo).port}` }
}

describe('without JavaScript', () => {
  let context: BrowserContext
  let page: Page
  beforeEach(async () => {
    formAction = []
    posts.length = 0
    context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 568 } })
    context.setDefaultTimeout(10_000)
    page = await context.newPage()
  })
  afterEach(() => context.close())

  // Expressions for the page are strings: the types of this program know no document.
  const focused = () =>
    page.evaluate<string>(`(({ activeElement: at }) =>
      at.id || at.getAttribute('value') || at.getAttribute('href') || at.tagName)(document)`)
  /** The focus of `autofocus` is set when the page is painted, a moment after it is loaded. */
  const startsAt = async (expected: string) => {
    await until(async () => (await focused()) === expected, { every: 20, what: `the focus is at ${expected}` })
  }
  const tab = async () => {
    await page.keyboard.press('Tab')
    return focused()
  }

  it.each([
    'signIn-first',
    'signIn',
    'signIn-long',
    'signIn-throttled',
    'setPassword-throttled',
    'setPassword-first',
    'signOut',
    'formPost',
  ])('%s: the main action is on the first screen of a small phone', async (state) => {
    await page.goto(`${origin}/${state}`)
    const box = (await page.locator('.button-main').boundingBox())!
    expect(box.y + box.height).toBeLessThanOrEqual(568)
    expect(box.height).toBeGreaterThanOrEqual(44)
    expect(await page.evaluate('scrollY')).toBe(0)
  })

  // 320 pixels is also what 400 % zoom leaves of a window 1280 wide
  it.each(Object.keys(states))(
    'S-005 %s is styled, breaks no rule of its own policy, and needs no sideways scrolling',
    async (state) => {
      const complaints: string[] = []
      page.on('console', (message) => complaints.push(message.text()))
      await page.goto(`${origin}/${state}`)
      expect(await page.locator('.mark').boundingBox()).toMatchObject({ width: 20, height: 20 })
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320)
      expect(complaints).toEqual([])
    },
  )

  it('S-005 a page that is put into a frame stays blank', async () => {
    const outside = await browser.newContext({ javaScriptEnabled: false })
    const thief = await outside.newPage()
    await thief.route(`${app.origin}/frame`, (route) =>
      route.fulfill({ contentType: 'text/html', body: `<iframe src="${origin}/consent"></iframe>` }),
    )
    await thief.goto(`${app.origin}/frame`)
    expect(thief.frames()).toHaveLength(2)
    expect(await thief.frames()[1]!.locator('h1').count()).toBe(0)
    await outside.close()
  })

  it('S-164 sign-in by keyboard: email, password, Enter; the reach order is the reading order', async () => {
    await page.goto(`${origin}/signIn-first`)
    await startsAt('email')
    await page.keyboard.type('ada@example.com')
    expect(await tab()).toBe('password')
    expect(await tab()).toBe('sign-in')
    expect(await tab()).toBe('cancel')
    await page.locator('#password').focus()
    await page.keyboard.type('a long pass phrase')
    await page.keyboard.press('Enter')
    await page.getByText('posted').waitFor()
    expect(posts).toEqual([
      { path: action, fields: { csrf, email: 'ada@example.com', password: 'a long pass phrase', action: 'sign-in' } },
    ])
  })

  it('sign-in can be cancelled with empty fields', async () => {
    await page.goto(`${origin}/signIn-first`)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('posted').waitFor()
    expect(posts[0]).toMatchObject({ path: action, fields: { csrf, action: 'cancel' } })
  })

  it('after a mistake the message has the focus and its link leads to the field', async () => {
    await page.goto(`${origin}/signIn`)
    await startsAt('problem')
    expect(await tab()).toBe('#email')
    await page.keyboard.press('Enter')
    expect(await focused()).toBe('email')
  })

  it('whoever has to wait hears it first, and no field is marked wrong', async () => {
    for (const state of ['signIn-throttled', 'setPassword-throttled', 'setup-throttled']) {
      await page.goto(`${origin}/${state}`)
      await startsAt('problem')
      expect(await page.locator('[role=alert]').textContent()).toContain(THROTTLED)
      expect(await page.locator('[aria-invalid], .field-error, [role=alert] a').count()).toBe(0)
    }
  })

  it('consent by keyboard: switch, allow, cancel, and nothing before', async () => {
    await page.goto(`${origin}/consent`)
    await startsAt('BODY')
    expect([await tab(), await tab(), await tab()]).toEqual(['switch', 'allow', 'deny'])
  })

  it('S-190 consent: both buttons are of the same size and look', async () => {
    await page.goto(`${origin}/consent`)
    const look = (value: string) =>
      page.evaluate(`(({ backgroundColor, borderColor, color, fontSize, fontWeight, width, height }) =>
        ({ backgroundColor, borderColor, color, fontSize, fontWeight, width, height }))(
        getComputedStyle(document.querySelector('button[value=${value}]')))`)
    expect(await look('allow')).toEqual(await look('deny'))
  })

  it('S-005 the redirect after consent reaches the app that the policy names', async () => {
    formAction = [`${app.origin}/callback`]
    await page.goto(`${origin}/consent`)
    await page.getByRole('button', { name: 'Allow access' }).click()
    await page.getByText('back at the app').waitFor()
    expect(posts).toEqual([{ path: samples.consent.action, fields: { csrf, action: 'allow' } }])
  })

  it('S-005 and no other', async () => {
    await page.goto(`${origin}/consent`)
    const complaint = page.waitForEvent('console')
    await page.getByRole('button', { name: 'Allow access' }).click({ noWaitAfter: true })
    expect((await complaint).text()).toContain('form-action')
    expect(page.url()).toBe(`${origin}/consent`)
  })

  it('switching the account sends its own form', async () => {
    await page.goto(`${origin}/consent`)
    await page.getByRole('button', { name: 'Switch account' }).click()
    await page.getByText('posted').waitFor()
    expect(posts).toEqual([{ path: samples.consent.switchAction, fields: { csrf, action: 'switch' } }])
  })

  it.each([
    ['Sign out', { xsrf: 'x1', logout: 'yes' }],
    ['Stay signed in', { xsrf: 'x1' }],
  ])('sign-out: "%s" sends the form of the engine', async (name, fields) => {
    await page.goto(`${origin}/signOut`)
    await page.getByRole('button', { name }).click()
    await page.getByText('posted').waitFor()
    expect(posts).toEqual([{ path: '/logout/confirm', fields }])
  })

  it('form_post goes on at one press of Enter', async () => {
    await page.goto(`${origin}/formPost`)
    await startsAt('BUTTON')
    await page.keyboard.press('Enter')
    await page.getByText('posted').waitFor()
    expect(posts).toEqual([{ path: '/callback', fields: { code: 'c', state: 's t' } }])
  })
})

describe('axe', () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  // axe is a script, which our policy forbids
  it.each(['light', 'dark'] as const)('finds nothing on any page in the %s scheme', async (colorScheme) => {
    const context = await browser.newContext({ bypassCSP: true, colorScheme, viewport: { width: 390, height: 844 } })
    const page = await context.newPage()
    const found: unknown[] = []
    for (const state of Object.keys(states)) {
      await page.goto(`${origin}/${state}`)
      await page.evaluate(axe)
      const violations = await page.evaluate<object[]>(`axe
        .run(document, { rules: { 'target-size': { enabled: true } }, resultTypes: ['violations'] })
        .then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => node.html) })))`)
      found.push(...violations.map((violation) => ({ state, ...violation })))
    }
    await context.close()
    expect(found).toEqual([])
  })
})
