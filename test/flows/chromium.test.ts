// A person with a real browser: signs in, consents, comes back to the app, signs out. JavaScript is off throughout.
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { launchChromium } from '../helpers/chromium.ts'
import { authorizeUrl, pkce, redeem } from '../helpers/flow.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let browser: Browser
let app: { server: Server; callback: string; home: string }
let appSecret: string

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  browser = await launchChromium()
  const listening = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<title>App</title>the app'),
  )
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  app = { server: listening, callback: `${origin}/callback`, home: `${origin}/home` }
  appSecret = await server.addClient({
    id: 'seen',
    name: 'Corner Shop',
    redirectUris: [app.callback],
    postLogoutRedirectUris: [app.home],
    responseModes: ['query', 'form_post'],
  })
})
afterAll(async () => {
  await browser?.close()
  app?.server.close()
  await server?.stop()
})

async function withPage<T>(work: (page: Page, context: BrowserContext) => Promise<T>, options = {}): Promise<T> {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options })
  try {
    return await work(await context.newPage(), context)
  } finally {
    await context.close()
  }
}

function start(params: Record<string, string> = {}) {
  const { verifier, challenge } = pkce()
  const url = authorizeUrl(server, 'seen', challenge, {
    redirect_uri: app.callback,
    scope: 'openid email orders:read orders:write',
    resource: ORDERS,
    ...params,
  })
  return { verifier, url: url.href }
}

async function exchange(page: Page, verifier: string) {
  const code = new URL(page.url()).searchParams.get('code')!
  return redeem(server, { id: 'seen', secret: appSecret }, { code, verifier }, { redirect_uri: app.callback })
}

it('by clicking: sign in, consent, tokens, remembered the second time, sign out', async () => {
  await withPage(async (page) => {
    const { verifier, url } = start()
    await page.goto(url)
    await page.getByLabel('Email').fill('ada@example.com')
    await page.getByLabel('Password').fill('not the password')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect(page.getByRole('alert').textContent()).resolves.toContain('not right')
    expect(await page.getByLabel('Email').inputValue()).toBe('ada@example.com')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()

    const words = await page.getByRole('main').textContent()
    for (const part of ['Corner Shop', '127.0.0.1', 'ada@example.com', 'See your orders', 'Place and cancel orders']) {
      expect(words).toContain(part)
    }
    await page.getByRole('button', { name: 'Allow access' }).click()
    await page.waitForURL(`${app.callback}?*`)
    const tokens = await exchange(page, verifier)
    expect(tokens.status).toBe(200)

    const again = start()
    await page.goto(again.url)
    expect(page.url()).toContain(app.callback)

    await page.goto(
      `${server.issuer}/logout?id_token_hint=${tokens.body.id_token}&post_logout_redirect_uri=${app.home}`,
    )
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL(app.home)
    await page.goto(start().url)
    expect(await page.title()).toContain('Sign in')
  })
}, 30_000)

it('by keyboard only: sign in, allow, sign out', async () => {
  await withPage(async (page) => {
    await server.addPerson('grace@example.com')
    const { verifier, url } = start()
    await page.goto(url)
    await tabTo(page, 'email')
    await page.keyboard.type('grace@example.com')
    await tabTo(page, 'password')
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press('Enter')
    await page.waitForSelector('button[value="allow"]')
    await tabTo(page, 'action', 'allow')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${app.callback}?*`)
    const tokens = await exchange(page, verifier)
    expect(tokens.status).toBe(200)

    await page.goto(
      `${server.issuer}/logout?id_token_hint=${tokens.body.id_token}&post_logout_redirect_uri=${app.home}`,
    )
    await tabTo(page, 'logout', 'yes')
    await page.keyboard.press('Enter')
    await page.waitForURL(app.home)
    await page.goto(start().url)
    expect(await page.title()).toContain('Sign in')
  })
}, 30_000)

it('Cancel on either page takes the person back to the app with access_denied', async () => {
  await withPage(async (page) => {
    await page.goto(start({ prompt: 'login' }).url)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.waitForURL(`${app.callback}?*`)
    expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied')
    await page.goto(start({ prompt: 'consent' }).url)
    await page.getByLabel('Email').fill('ada@example.com')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.waitForURL(`${app.callback}?*`)
    expect(new URL(page.url()).searchParams.get('error')).toBe('access_denied')
  })
}, 30_000)

it('form_post: a button carries the answer to the app, no script does', async () => {
  await withPage(async (page) => {
    await page.goto(start({ response_mode: 'form_post', prompt: 'login' }).url)
    await page.getByLabel('Email').fill('ada@example.com')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.keyboard.press('Enter')
    if (await page.getByRole('button', { name: 'Allow access' }).count())
      await page.getByRole('button', { name: 'Allow access' }).click()
    const posted = page.waitForRequest((request) => request.url() === app.callback && request.method() === 'POST')
    await page.getByRole('button', { name: 'Continue' }).click()
    expect(new URLSearchParams((await posted).postData() ?? '').get('code')).toMatch(/^gth_ac_/)
  })
}, 30_000)

it('the link of the first administrator and the set-password link work in a browser', async () => {
  await withPage(async (page) => {
    const { token } = await server.rooms.accounts.makeAdminLink('operator')
    await page.goto(`${server.issuer}/admin/setup?token=${token}`)
    await page.getByLabel('Email').fill('root@example.com')
    await page.getByLabel('Name').fill('Root')
    await page.getByLabel('Password').fill('short')
    await page.locator('form').evaluate((form) => form.setAttribute('novalidate', ''))
    await page.getByRole('button').first().click()
    await expect(page.getByRole('alert').textContent()).resolves.toContain('15 characters')
    expect(await page.getByLabel('Email').inputValue()).toBe('root@example.com')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button').first().click()
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toContain('administrator')
    expect(await server.rooms.accounts.hasAdmin()).toBe(true)

    const link = await server.rooms.accounts.makeSetPasswordLink(cast.ada, 'operator')
    await page.goto(`${server.issuer}/set-password?token=${link.token}`)
    await page.getByLabel('Password').fill('seven tall herons in the reeds')
    await page.getByRole('button').first().click()
    expect((await server.rooms.accounts.authenticate('ada@example.com', 'seven tall herons in the reeds')).ok).toBe(
      true,
    )
    await server.rooms.accounts.setPassword(cast.ada, PASSWORD, 'operator')
  })
}, 30_000)

it.each(['light', 'dark'] as const)(
  'axe finds nothing on the live pages (%s)',
  async (colorScheme) => {
    await withPage(
      async (page) => {
        const look = async (where: string) => {
          expect({ where, faults: await axe(page) }).toEqual({ where, faults: [] })
        }
        await page.goto(start({ prompt: 'consent' }).url)
        await look('sign in')
        await page.getByLabel('Email').fill('ada@example.com')
        await page.getByLabel('Password').fill('wrong')
        await page.keyboard.press('Enter')
        await page.waitForSelector('[role=alert]')
        await look('sign in, refused')
        await page.getByLabel('Password').fill(PASSWORD)
        await page.keyboard.press('Enter')
        await page.waitForSelector('button[value=allow]')
        await look('consent')
        await page.goto(`${server.issuer}/logout`)
        await look('sign out')
        const { token } = await server.rooms.accounts.makeSetPasswordLink(cast.ada, 'operator')
        const paths = [
          '/',
          '/nowhere',
          '/authorize?client_id=nobody',
          '/interaction/nothing',
          '/admin/setup?token=x',
          `/set-password?token=${token}`,
          '/logout/success',
        ]
        for (const path of paths) {
          await page.goto(`${server.issuer}${path}`)
          await look(path)
        }
      },
      { javaScriptEnabled: true, bypassCSP: true, colorScheme },
    )
  },
  60_000,
)

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

async function axe(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof import('axe-core') }).axe.run()
    return violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0]?.html}`)
  })
}

/** Presses Tab until the field or button with this name has focus, as somebody without a mouse does. */
async function tabTo(page: Page, name: string, value?: string): Promise<void> {
  const selector = value ? `[name="${name}"][value="${value}"]:focus` : `[name="${name}"]:focus`
  for (let press = 0; press < 20; press++) {
    if ((await page.locator(selector).count()) > 0) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`Tab does not reach ${name}`)
}
