// Answers by form_post: a page with a button, which works without any script (OAuth 2.0 Form Post Response Mode).
import { load } from 'cheerio'
import { createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, passPages, pkce, redeem } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

const RETURN = 'https://app.example.com/return?tenant=7&x=%22%3Cb%3E%27'
const NATIVE = 'com.example.app:/return'

let server: TestServer
let secret: string

beforeAll(async () => {
  server = await startTestServer()
  await addCast(server)
  secret = await server.addClient({ id: 'poster', redirectUris: [RETURN], responseModes: ['form_post'] })
  await server.addClient({
    id: 'app',
    kind: 'native',
    authMethod: 'none',
    redirectUris: [NATIVE],
    responseModes: ['form_post'],
  })
})
afterAll(() => server.stop())

const STATE = `"><svg onload=alert(1)> & 'state' +%20 ünï </form>`

/** @returns what the page's only form would send where */
function formOf(page: Page) {
  const $ = load(page.html)
  expect($('form').length).toBe(1)
  const form = $('form')
  const fields = form
    .find('[name]')
    .toArray()
    .map((input) => [$(input).attr('name'), $(input).attr('value')])
  return {
    method: form.attr('method'),
    action: form.attr('action'),
    fields: Object.fromEntries(fields),
    count: fields.length,
  }
}

function expectNoScript(page: Page): void {
  const $ = load(page.html)
  expect($('script, svg[onload], meta[http-equiv], iframe, object, [onclick], [style]').length).toBe(0)
  const policy = page.headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toMatch(/script-src|unsafe/)
  expect(page.headers.get('cache-control')).toBe('no-store')
  expect(page.headers.get('x-frame-options')).toBe('DENY')
}

it('the page has one button, and the form has exactly the answer', async () => {
  const browser = createBrowser(server.issuer)
  const proof = pkce()
  const url = authorizeUrl(server, 'poster', proof.challenge, {
    redirect_uri: RETURN,
    response_mode: 'form_post',
    state: STATE,
  })
  const page = await passPages(browser, await browser.open(url))
  expect([page.status, page.left]).toEqual([200, false])
  expectNoScript(page)
  expect(page.headers.get('content-security-policy')).toContain("form-action 'self' https://app.example.com;")
  const form = formOf(page)
  expect(form).toEqual({
    method: 'post',
    action: RETURN,
    fields: { code: expect.stringMatching(/^gth_ac_/), state: STATE, iss: server.issuer },
    count: 3,
  })
  expect(load(page.html)('main button').length).toBe(1)
  expect(load(page.html)('main').text()).toContain('app.example.com')

  // The button does it: what arrives is the form, letter by letter, and the code is good.
  const sent = await browser.press(page, '')
  expect([sent.left, sent.url.href]).toEqual([true, RETURN])
  expect(Object.fromEntries(new URLSearchParams(sent.html))).toEqual(form.fields)
  const code = new URLSearchParams(sent.html).get('code')!
  const tokens = await redeem(server, { id: 'poster', secret }, { code, ...proof }, { redirect_uri: RETURN })
  expect(tokens.status).toBe(200)
})

it('a refusal comes the same way', async () => {
  const browser = createBrowser(server.issuer)
  const params = { redirect_uri: RETURN, response_mode: 'form_post', state: STATE }
  const silent = await browser.open(authorizeUrl(server, 'poster', pkce().challenge, { ...params, prompt: 'none' }))
  expectNoScript(silent)
  expect(formOf(silent)).toMatchObject({
    action: RETURN,
    fields: { error: 'login_required', error_description: expect.any(String), state: STATE, iss: server.issuer },
    count: 4,
  })
  const cancelled = await browser.press(
    await browser.open(authorizeUrl(server, 'poster', pkce().challenge, params)),
    'cancel',
  )
  expectNoScript(cancelled)
  expect(formOf(cancelled)).toMatchObject({
    action: RETURN,
    fields: { error: 'access_denied', state: STATE },
    count: 4,
  })
})

it('an app with a scheme of its own gets its form, too', async () => {
  const browser = createBrowser(server.issuer)
  const url = authorizeUrl(server, 'app', pkce().challenge, { redirect_uri: NATIVE, response_mode: 'form_post' })
  const page = await passPages(browser, await browser.open(url))
  expect(formOf(page)).toMatchObject({ action: NATIVE, fields: { code: expect.stringMatching(/^gth_ac_/) } })
  expect(page.headers.get('content-security-policy')).toContain("form-action 'self' com.example.app:")
})
