// A person who is switched off or removed while signed in is asked to sign in, never shown a fault; what they allowed is over.
import { type Browser, createBrowser, type Page } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, obtainTokens, pkce, redeem, refresh } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })
const api = () => ({ id: 'orders-api', secret: cast.api })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addClient({ id: 'ours', firstParty: true })
})
afterAll(() => server.stop())

let made = 0
async function addPerson() {
  const email = `person-${++made}@example.com`
  return { email, id: await server.addPerson(email) }
}
type Person = Awaited<ReturnType<typeof addPerson>>

const ask = (params: Record<string, string> = {}, client = 'shop') =>
  authorizeUrl(server, client, pkce().challenge, params)
const signIn = (browser: Browser, page: Page, { email }: Person) =>
  browser.press(page, 'sign-in', { email, password: PASSWORD })
const asksForPassword = (page: Page) => page.status < 500 && page.html.includes('type="password"')
const userinfo = async (token: string) =>
  (await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status

/** A browser in which a person is signed in and has allowed the shop what it asks. */
async function signedIn(person: Person): Promise<Browser> {
  const browser = createBrowser(server.issuer)
  const consent = await signIn(browser, await browser.open(ask()), person)
  expect((await browser.press(consent, 'allow')).url.searchParams.has('code')).toBe(true)
  return browser
}

// By the operator's act, which ends sessions as well; and as a request may find it that began a moment before.
const endings: [string, (person: Person) => Promise<unknown>][] = [
  ['disabled', ({ id }) => server.rooms.accounts.disable(id, 'operator')],
  ['removed', ({ id }) => server.rooms.accounts.remove(id, 'operator')],
  [
    'disabled while the session is still there',
    ({ id }) => sql('update accounts set disabled_at = now() where id = $1', id),
  ],
  ['removed while the session is still there', ({ id }) => sql('delete from accounts where id = $1', id)],
]
const sql = (text: string, value: string) => server.database.pool({ max: 1 }).query(text, [value])

describe.each(endings)('a person who is %s', (_how, end) => {
  it('is asked to sign in; silently the app hears login_required', async () => {
    for (const client of ['shop', 'ours']) {
      const person = await addPerson()
      const browser = await signedIn(person)
      await end(person)
      const silent = await browser.open(ask({ prompt: 'none' }, client))
      expect([silent.left, silent.url.searchParams.get('error')]).toEqual([true, 'login_required'])
      const page = await browser.open(ask({}, client))
      expect([client, asksForPassword(page)]).toEqual([client, true])
      // In vain, and told like a wrong password.
      const refused = await signIn(browser, page, person)
      expect([refused.status, asksForPassword(refused)]).toEqual([401, true])
      // Somebody else may sign in at that page.
      const other = await signIn(browser, refused, { email: 'ada@example.com', id: cast.ada })
      expect(other.status).toBeLessThan(400)
    }
  })

  it('gets nothing from a page that was open', async () => {
    for (const button of ['allow', 'deny', 'switch', 'sign-in']) {
      const person = await addPerson()
      const browser = createBrowser(server.issuer)
      const first = await browser.open(ask({ prompt: 'consent' }))
      const page = button === 'sign-in' ? first : await signIn(browser, first, person)
      await end(person)
      expect((await browser.open(page.url)).status).toBeLessThan(500)
      const at = button === 'sign-in' ? await signIn(browser, page, person) : await browser.press(page, button)
      expect(at.status).toBeLessThan(500)
      expect(at.url.searchParams.has('code')).toBe(false)
      if (at.html.includes('value="allow"')) {
        const last = await browser.press(at, 'allow')
        expect([last.status < 500, last.url.searchParams.has('code')]).toEqual([true, false])
      }
    }
  })

  it('leaves codes, refresh tokens and access tokens behind that are worth nothing', async () => {
    const person = await addPerson()
    const browser = await signedIn(person)
    const jwt = await obtainTokens(server, shop(), { scope: 'openid orders:read', prompt: 'consent' }, browser)
    const opaque = await obtainTokens(server, shop(), { scope: 'openid things:read', prompt: 'consent' }, browser)
    const code = await obtainCode(server, 'shop', {}, browser)
    await end(person)
    for (const { body } of [jwt, opaque]) {
      expect(await introspect(server, api(), body.access_token)).toEqual({ active: false })
      expect(await introspect(server, shop(), body.refresh_token)).toEqual({ active: false })
      expect(await userinfo(body.access_token)).toBe(401)
      const answer = await refresh(server, shop(), body.refresh_token)
      expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant'])
    }
    const redeemed = await redeem(server, shop(), code)
    expect([redeemed.status, redeemed.body.error]).toEqual([400, 'invalid_grant'])
    // Signing out is no fault.
    const page = await browser.open(
      `${server.issuer}/logout?${new URLSearchParams({ id_token_hint: jwt.body.id_token })}`,
    )
    expect(page.status).toBeLessThan(500)
    const done = await browser.press(page, page.html.includes('One more step') ? '' : 'yes')
    expect([done.status, done.left]).toEqual([200, false])
  })
})

it('a person who is switched on again signs in anew: nothing from before comes back', async () => {
  const person = await addPerson()
  const browser = await signedIn(person)
  const { body } = await obtainTokens(server, shop(), { scope: 'openid orders:read', prompt: 'consent' }, browser)
  await server.rooms.accounts.disable(person.id, 'operator')
  await server.rooms.accounts.enable(person.id, 'operator')
  expect(await introspect(server, api(), body.access_token)).toEqual({ active: false })
  expect((await refresh(server, shop(), body.refresh_token)).body.error).toBe('invalid_grant')
  const page = await browser.open(ask())
  expect(asksForPassword(page)).toBe(true)
  // What they allowed the app is remembered: it was their decision, and they are back.
  expect((await signIn(browser, page, person)).url.searchParams.has('code')).toBe(true)
})
