// After a form that carried a password or a decision the browser goes on by GET: 303, never 307 or 308, which would post the
// password on to the app (SECURITY S-015, RFC 9700 section 4.12).
import { load } from 'cheerio'
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, pkce } from '../helpers/flow.ts'
import { addCast, CALLBACK, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addCast(server)
  // Public and not ours, so it asks each time.
  await server.addClient({ id: 'asking', kind: 'spa', authMethod: 'none' })
})
afterAll(() => server.stop())

/** Presses a button and looks at the answer alone. */
async function press(browser: Browser, page: Page, button: string, fields: Record<string, string> = {}) {
  const form = load(page.html)(`button[value="${button}"]`).first()
  const $ = load(page.html)
  const owner = form.attr('form')
    ? $(`form[id="${form.attr('form')}"]`)
    : $(`button[value="${button}"]`).closest('form')
  const body = new URLSearchParams(fields)
  for (const input of owner.find('input[name]').toArray()) {
    const name = $(input).attr('name')!
    if (!body.has(name)) body.set(name, $(input).attr('value') ?? '')
  }
  body.set(form.attr('name')!, button)
  const target = new URL(form.attr('formaction') ?? owner.attr('action')!, page.url)
  const answer = await browser.request(target, { method: 'POST', body })
  return { status: answer.status, to: new URL(answer.headers.get('location') ?? 'none:', page.url), body }
}

/** Follows by GET. @returns the status of each hop, and where it ended */
async function hops(browser: Browser, url: URL): Promise<{ statuses: number[]; at: URL }> {
  const statuses: number[] = []
  let at = url
  while (at.origin === server.issuer && statuses.length < 10) {
    const answer = await browser.request(at)
    statuses.push(answer.status)
    if (answer.status === 200) break
    at = new URL(answer.headers.get('location')!, at)
  }
  return { statuses, at }
}

const open = (browser: Browser) =>
  browser.open(authorizeUrl(server, 'asking', pkce().challenge, { scope: 'openid orders:read' }))

async function consentPage(browser: Browser): Promise<Page> {
  return browser.press(await open(browser), 'sign-in', { email: 'ada@example.com', password: PASSWORD })
}

it('S-015 sign-in and consent lead on by 303, to the app and nowhere before', async () => {
  const browser = createBrowser(server.issuer)
  const signedIn = await press(browser, await open(browser), 'sign-in', {
    email: 'ada@example.com',
    password: PASSWORD,
  })
  expect([signedIn.status, signedIn.to.origin]).toEqual([303, server.issuer])
  expect(signedIn.to.href).not.toContain(encodeURIComponent(PASSWORD))
  const asked = await hops(browser, signedIn.to)
  expect(asked.statuses).toEqual([303, 200])

  const consent = await browser.open(asked.at)
  const allowed = await press(browser, consent, 'allow')
  expect([allowed.status, allowed.to.origin]).toEqual([303, server.issuer])
  const done = await hops(browser, allowed.to)
  expect(done.statuses).toEqual([303])
  expect([done.at.origin + done.at.pathname, done.at.searchParams.has('code')]).toEqual([CALLBACK, true])
})

it.each(['cancel', 'deny', 'switch'])('S-015 %s leads on by 303', async (button) => {
  const browser = createBrowser(server.issuer)
  const page = button === 'cancel' ? await open(browser) : await consentPage(browser)
  const answer = await press(browser, page, button)
  expect([answer.status, answer.to.origin]).toEqual([303, server.issuer])
  expect((await hops(browser, answer.to)).statuses).toEqual([button === 'switch' ? 200 : 303])
})

it('S-015 a form that comes late is not posted on either', async () => {
  const browser = createBrowser(server.issuer)
  const page = await consentPage(browser)
  const first = await press(browser, page, 'allow')
  const second = await press(browser, page, 'allow')
  expect([first.status, second.status]).toEqual([303, 303])
  const wrong = await press(browser, await open(createBrowser(server.issuer)), 'sign-in', { password: PASSWORD })
  expect([wrong.status, wrong.to.protocol]).toEqual([400, 'none:'])
})

it('S-015 signing out leads on by 303', async () => {
  const browser = createBrowser(server.issuer)
  await browser.press(await consentPage(browser), 'allow')
  const query = 'client_id=asking&post_logout_redirect_uri=http://localhost:9/&state=x'
  const page = await browser.open(`${server.issuer}/logout?${query}`)
  const answer = await press(browser, page, 'yes')
  expect([answer.status, answer.to.href]).toEqual([303, 'http://localhost:9/?state=x'])
})

it('S-015 a new password is answered by a page: nothing is sent anywhere', async () => {
  const { token } = await server.rooms.accounts.makeAdminLink('operator')
  const browser = createBrowser(server.issuer)
  const page = await browser.open(`${server.issuer}/admin/setup?token=${token}`)
  const fields = { email: 'grace@example.com', name: 'Grace', password: PASSWORD }
  const answer = await press(browser, page, 'create', fields)
  expect([answer.status, answer.to.protocol]).toEqual([200, 'none:'])
})
