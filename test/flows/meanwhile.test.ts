// What ends while another request is on its way: that request comes before the ending, and ends with it, or after it, and is
// refused. Another connection holds a row, so that each pair meets where it would hurt most.
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, obtainTokens, pkce, redeem, refresh } from '../helpers/flow.ts'
import { holding } from '../helpers/holding.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let made = 0

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server?.stop())

const sql = async (text: string, values: unknown[] = []) => (await server.database.pool().query(text, values)).rows
const active = async (token: string) =>
  (await introspect(server, { id: 'orders-api', secret: cast.api }, token)).active === true
const grantsOf = async ({ account }: Person) =>
  (await server.rooms.sessions.grants.listOf(account)).map(({ clientId }) => clientId).sort()
const kindsOf = async ({ account }: Person) =>
  (await sql('select kind from audit_entries where actor = $1 order by id', [account])).map(({ kind }) => kind)

/** A person who is signed in to the first-party app `spa`. */
async function person() {
  made += 1
  const email = `meanwhile-${made}@example.com`
  const account = await server.addPerson(email)
  const browser = createBrowser(server.issuer)
  const page = await browser.open(authorizeUrl(server, 'spa', pkce().challenge))
  await browser.press(page, 'sign-in', { email, password: PASSWORD })
  return { email, account, browser }
}
type Person = Awaited<ReturnType<typeof person>>

/** An app of its own for a test. */
async function app(more: { firstParty?: boolean; refresh?: 'session' } = {}) {
  made += 1
  const id = `meanwhile-app-${made}`
  const scopes = { [ORDERS]: ['orders:read', 'orders:write'] }
  return { id, secret: await server.addClient({ id, scopes, refresh: 'offline', ...more }) }
}

const READ = { scope: 'openid orders:read' }
const open = ({ browser }: Person, client: { id: string }, params: Record<string, string> = READ) => {
  const { verifier, challenge } = pkce()
  return browser.open(authorizeUrl(server, client.id, challenge, params)).then((page) => ({ ...page, verifier }))
}
const codeOf = ({ url }: { url: URL }) => url.searchParams.get('code') ?? ''
const use = (client: { id: string; secret?: string }, page: { url: URL; verifier: string }) =>
  redeem(server, client, { code: codeOf(page), verifier: page.verifier })

describe('S-093 a grant that is revoked while it is extended', () => {
  it('does not come back, and nor does what hangs on it', async () => {
    const ada = await person()
    const shop = await app({ firstParty: true })
    const { body } = await obtainTokens(server, shop, READ, ada.browser)
    const [grant] = (await server.rooms.sessions.grants.listOf(ada.account)).filter(
      ({ clientId }) => clientId === shop.id,
    )
    const key = Buffer.from(grant!.id.slice(1), 'base64url')
    const [revoked, page] = await holding<[boolean, Awaited<ReturnType<typeof open>>]>(
      server.database,
      ['select from grants where id_hash = $1 for update', [key]],
      [
        () => server.rooms.withdraw.grant(grant!.id, 'operator'),
        () => open(ada, shop, { scope: 'openid email orders:read' }),
      ],
    )
    expect([revoked, codeOf(page)]).toEqual([true, ''])
    expect(await active(body.access_token)).toBe(false)
    expect(await grantsOf(ada)).toEqual(['spa'])
    expect((await use(shop, await open(ada, shop))).status).toBe(200)
  })

  it('nor by a session that is ended', async () => {
    const ada = await person()
    const shop = await app({ firstParty: true })
    const { body } = await obtainTokens(server, shop, READ, ada.browser)
    const [session] = await server.rooms.sessions.sessions.listOf(ada.account)
    const [ended, page] = await holding<[boolean, Awaited<ReturnType<typeof open>>]>(
      server.database,
      ['select from grants where account_id = $1 for update', [ada.account]],
      [
        () => server.rooms.withdraw.session(session!.uid, 'operator'),
        () => open(ada, shop, { scope: 'openid email orders:read' }),
      ],
    )
    expect([ended, codeOf(page)]).toEqual([true, ''])
    // The app stays connected: its grant outlives the session, as it was.
    expect(await active(body.access_token)).toBe(true)
    expect(await grantsOf(ada)).toEqual([shop.id])
    expect((await server.rooms.sessions.sessions.listOf(ada.account)).length).toBe(0)
  })
})

describe('S-187 a consent that is withdrawn while it is used', () => {
  it.each([
    ['after the grant was made: the grant ends with it', 'lock table grants in share mode', ['authorize', 'withdraw']],
    ['before: the person is asked', 'select from consents for update', ['withdraw', 'authorize']],
  ])('%s', async (_, lock, order) => {
    const ada = await person()
    const blog = await app()
    await obtainCode(server, blog.id, READ, ada.browser)
    const elsewhere = { ...ada, browser: createBrowser(server.issuer) }
    const page = await elsewhere.browser.open(authorizeUrl(server, 'spa', pkce().challenge))
    await elsewhere.browser.press(page, 'sign-in', { email: ada.email, password: PASSWORD })
    const deeds: Record<string, () => Promise<unknown>> = {
      authorize: () => open(elsewhere, blog),
      withdraw: () => server.rooms.withdraw.consent(ada.account, blog.id, 'operator'),
    }
    const results = await holding(server.database, [lock], order.map((name) => deeds[name]!) as [])
    const [authorized, withdrawn] = order[0] === 'authorize' ? results : [...(results as unknown[])].reverse()
    expect(withdrawn).toBe(true)
    const last = authorized as Awaited<ReturnType<typeof open>>
    if (order[0] === 'authorize') {
      expect(codeOf(last)).not.toBe('')
      expect((await use(blog, last)).body.error).toBe('invalid_grant')
    } else expect(last.html).toContain('value="allow"')
    expect(await grantsOf(ada)).toEqual(['spa', 'spa'])
  })
})

it('S-187 a consent that is withdrawn while more is allowed does not come back with it', async () => {
  const ada = await person()
  const blog = await app()
  await obtainCode(server, blog.id, READ, ada.browser)
  const elsewhere = { ...ada, browser: createBrowser(server.issuer) }
  const first = await elsewhere.browser.open(authorizeUrl(server, 'spa', pkce().challenge))
  await elsewhere.browser.press(first, 'sign-in', { email: ada.email, password: PASSWORD })
  // Without anything that is remembered, so that this session has no grant that would end.
  const page = await open(elsewhere, blog, { scope: 'orders:write' })
  const [withdrawn, allowed] = await holding<[boolean, Awaited<ReturnType<Person['browser']['press']>>]>(
    server.database,
    ['select from grants where client_id = $1 for update', [blog.id]],
    [
      () => server.rooms.withdraw.consent(ada.account, blog.id, 'operator'),
      () => elsewhere.browser.press(page, 'allow'),
    ],
  )
  expect([withdrawn, codeOf(allowed) !== '']).toEqual([true, true])
  const remembered = { openid: [], resources: { [ORDERS]: ['orders:write'] } }
  expect(await server.rooms.sessions.consents.find(ada.account, blog.id)).toEqual(remembered)
  expect((await open(elsewhere, blog)).html).toContain('value="allow"')
})

describe('S-186 "Allow access" that is pressed while trust ends', () => {
  const endings: [string, (ada: Person, client: { id: string }) => Promise<unknown>][] = [
    [
      'the password is set',
      ({ account }) => server.rooms.accounts.setPassword(account, 'ten blue herons rest', 'operator'),
    ],
    ['the account is disabled', ({ account }) => server.rooms.accounts.disable(account, 'operator')],
    ['the client is disabled', (_, { id }) => server.rooms.clients.disable(id, 'operator')],
    ['the client is removed', (_, { id }) => server.rooms.clients.remove(id, 'operator')],
  ]
  it.each(endings)('%s: nothing is allowed, nothing remembered', async (_, end) => {
    const ada = await person()
    const blog = await app()
    const page = await open(ada, blog)
    const uid = page.url.pathname.split('/').at(-1)!
    const [answer] = await holding<[Awaited<ReturnType<Person['browser']['press']>>, unknown]>(
      server.database,
      ['select from interactions where id_hash = any($1) for update', [server.rooms.ring.handles('interaction', uid)]],
      [() => ada.browser.press(page, 'allow'), () => end(ada, blog)],
    )
    expect([answer.status, answer.left]).toEqual([400, false])
    expect(await server.rooms.sessions.consents.find(ada.account, blog.id)).toBeUndefined()
    expect((await grantsOf(ada)).filter((id) => id === blog.id)).toEqual([])
    expect(await kindsOf(ada)).not.toContain('consent.given')
  })
})

describe('one session, several tabs', () => {
  it('the same app in all of them, for the first time: every code is good', async () => {
    const ada = await person()
    for (const firstParty of [true, false]) {
      const shop = await app({ firstParty })
      const pages = await Promise.all(Array.from({ length: 4 }, () => open(ada, shop)))
      // A person has one mouse.
      if (!firstParty) {
        for (const [tab, page] of pages.entries())
          pages[tab] = { ...(await ada.browser.press(page, 'allow')), verifier: page.verifier }
      }
      const answers = await Promise.all(pages.map((page) => use(shop, page)))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      const tokens = await Promise.all(answers.map(({ body }) => refresh(server, shop, body.refresh_token)))
      expect(tokens.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      expect((await grantsOf(ada)).filter((id) => id === shop.id)).toHaveLength(1)
    }
  })

  it('S-187 each asks for another scope of the same app: each gets it', async () => {
    const ada = await person()
    const shop = await app({ firstParty: true })
    await obtainTokens(server, shop, READ, ada.browser)
    const wanted = ['openid email', 'openid profile', 'openid orders:write']
    const pages = await holding(
      server.database,
      ['select from grants where client_id = $1 for update', [shop.id]],
      wanted.map((scope) => () => open(ada, shop, { scope })) as [],
    )
    const answers = await Promise.all((pages as Awaited<ReturnType<typeof open>>[]).map((page) => use(shop, page)))
    expect(answers.map(({ body }) => body.scope)).toEqual(wanted)
  })
})

describe('S-183 a sign-out while another tab gets tokens', () => {
  const signOut = async ({ browser }: Person) => {
    const page = await browser.open(`${server.issuer}/logout`)
    return () => browser.press(page, 'yes')
  }

  it('that was before it: they end with it', async () => {
    const ada = await person()
    const shop = await app({ firstParty: true, refresh: 'session' })
    const leave = await signOut(ada)
    const [page, out] = await holding<[Awaited<ReturnType<typeof open>>, { status: number }]>(
      server.database,
      ['lock table authorization_codes in share mode'],
      [() => open(ada, shop), leave],
    )
    expect(out.status).toBeLessThan(400)
    expect(codeOf(page)).not.toBe('')
    expect((await use(shop, page)).body.error).toBe('invalid_grant')
    expect(await grantsOf(ada)).toEqual([])
  })

  it('that comes after it: it gets none', async () => {
    const ada = await person()
    const shop = await app({ firstParty: true, refresh: 'session' })
    const leave = await signOut(ada)
    const [, page] = await holding<[unknown, Awaited<ReturnType<typeof open>>]>(
      server.database,
      ['select from grants where account_id = $1 for update', [ada.account]],
      [leave, () => open({ ...ada, browser: createBrowser(server.issuer, { jar: ada.browser.jar }) }, shop)],
    )
    expect(codeOf(page)).toBe('')
    expect(await grantsOf(ada)).toEqual([])
  })

  it('pressed ten times at once it is one, and audited once', async () => {
    const ada = await person()
    const leave = await signOut(ada)
    const answers = await Promise.all(Array.from({ length: 10 }, leave))
    expect(answers.filter(({ status }) => status >= 500)).toEqual([])
    expect((await kindsOf(ada)).filter((kind) => kind === 'account.signed-out')).toHaveLength(1)
  })
})
