// Everybody takes locks in one order (`src/db/locks.ts`). Where two meet half-way, PostgreSQL would roll one of them back after
// a second; here both come to their end.
import { grantKey } from '../../src/sessions/grants.ts'
import { type Browser, createBrowser, formOf, type Page } from '../helpers/browser.ts'
import {
  authorizeUrl,
  introspect,
  obtainCode,
  passPages,
  pkce,
  redeem,
  refresh,
  type TokenAnswer,
} from '../helpers/flow.ts'
import { holding } from '../helpers/holding.ts'
import { createOperatorRooms, type OperatorRooms } from '../helpers/operator-rooms.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
/** as commands have them, which wait longer than requests */
let operator: OperatorRooms
let made = 0

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  operator = await createOperatorRooms(server.database)
})
afterAll(async () => {
  await operator?.close()
  await server?.stop()
})

/** A person who is signed in to the first-party app `spa`. */
async function person() {
  const email = `order-${++made}@example.com`
  const account = await server.addPerson(email)
  return { email, account, browser: await signIn(email) }
}
type Person = Awaited<ReturnType<typeof person>>

async function signIn(email: string): Promise<Browser> {
  const browser = createBrowser(server.issuer)
  await passPages(browser, await browser.open(authorizeUrl(server, 'spa', pkce().challenge)), email)
  return browser
}

/** An app of its own for a test. */
async function app({ firstParty }: { firstParty: boolean }): Promise<string> {
  const id = `order-app-${++made}`
  await server.addClient({ id, firstParty, scopes: { [ORDERS]: ['orders:read', 'orders:write'] } })
  return id
}

const open = ({ browser }: Pick<Person, 'browser'>, client: string) =>
  browser.open(authorizeUrl(server, client, pkce().challenge, { scope: 'openid orders:read' }))
const gotCode = (page: Page) => page.url.searchParams.has('code')

/** A statement that lets nobody go on who comes to the session of a person. */
async function sessionOf({ account }: Person): Promise<[string, unknown[]]> {
  const [session] = await server.rooms.sessions.sessions.listOf(account)
  return ['select pg_advisory_xact_lock(hashtextextended($1, 0))', [`session ${session!.uid}`]]
}

const revoke: [string, (ada: Person) => Promise<unknown>][] = [
  ['of one account', ({ account }) => operator.accounts.revoke(account, 'operator')],
  ['of all', () => operator.trust.all('operator')],
]

describe.each(revoke)('a revocation %s', (_, end) => {
  it('that meets a sign-in which has left its page', async () => {
    const ada = await person()
    const elsewhere = createBrowser(server.issuer)
    const page = await open({ browser: elsewhere }, await app({ firstParty: true }))
    const [answer, ended] = await holding<[Page, unknown]>(
      server.database,
      ['lock table sessions in access exclusive mode'],
      [() => elsewhere.press(page, 'sign-in', { email: ada.email, password: PASSWORD }), () => end(ada)],
    )
    expect([gotCode(answer), Boolean(ended)]).toEqual([true, true])
    expect((await open({ browser: elsewhere }, 'spa')).html).toContain('type="password"')
    expect((await open(ada, 'spa')).html).toContain('type="password"')
  })

  it('that meets "Allow access" on a page where somebody has signed in meanwhile', async () => {
    const ada = await person()
    const page = await open(ada, await app({ firstParty: false }))
    const { target, fields } = formOf(await ada.browser.press(page, 'switch'), 'sign-in', {
      email: ada.email,
      password: PASSWORD,
    })
    const init = { method: 'POST', body: new URLSearchParams(fields), headers: { origin: server.issuer } }
    expect((await ada.browser.request(target, init)).status).toBe(303)
    const [answer, ended] = await holding<[Page, unknown]>(server.database, await sessionOf(ada), [
      () => ada.browser.press(page, 'allow'),
      () => end(ada),
    ])
    expect([answer.status < 500, Boolean(ended)]).toEqual([true, true])
    expect((await open(ada, 'spa')).html).toContain('type="password"')
  })
})

it.each<[string, (ada: Person) => Promise<unknown>]>([
  ['a revocation of all', () => operator.trust.all('operator')],
  ['a person who is removed', ({ account }) => operator.accounts.remove(account, 'operator')],
])('%s meets an app that is let in by a remembered consent', async (_, end) => {
  const ada = await person()
  const blog = await app({ firstParty: false })
  expect(gotCode(await ada.browser.press(await open(ada, blog), 'allow'))).toBe(true)
  const elsewhere = await signIn(ada.email)
  const [answer, ended] = await holding<[Page, unknown]>(
    server.database,
    ['select from consents where client_id = $1 for update', [blog]],
    [() => open({ browser: elsewhere }, blog), () => end(ada)],
  )
  expect([gotCode(answer), Boolean(ended)]).toEqual([true, true])
  expect((await open({ browser: elsewhere }, 'spa')).html).toContain('type="password"')
})

describe('a grant that is ended, and at the same time', () => {
  it.each<[string, (family: { code: string; token: string }) => string]>([
    ['a refresh family that comes from it', ({ token }) => token],
    ['the code that the family began with', ({ code }) => code],
  ])('%s', async (_, choose) => {
    const { account, browser } = await person()
    const got = await obtainCode(server, 'spa', { scope: 'openid things:read' }, browser)
    const { body } = await redeem(server, { id: 'spa' }, got)
    const { body: later } = await refresh(server, { id: 'spa' }, body.refresh_token)
    const [grant] = await server.rooms.sessions.grants.listOf(account)
    const results = await holding<[boolean, unknown]>(
      server.database,
      // Whoever ends the grant has come half-way there.
      ['select from access_tokens where grant_hash = $1 limit 1 for update', [grantKey(grant!.id)]],
      [
        () => operator.trust.grant(grant!.id, 'operator'),
        () => operator.trust.token(choose({ code: got.code, token: later.refresh_token }), 'operator'),
      ],
    )
    expect(results[0]).toBe(true)
    for (const { access_token, refresh_token } of [body, later]) {
      expect(await introspect(server, { id: 'orders-api', secret: cast.api }, access_token)).toEqual({ active: false })
      expect((await refresh(server, { id: 'spa' }, refresh_token)).body.error).toBe('invalid_grant')
    }
  })
})

it('a code that is ended while it is redeemed: what has become of it ends, too', async () => {
  const { browser } = await person()
  const got = await obtainCode(server, 'spa', { scope: 'openid things:read' }, browser)
  const [redeemed, ended] = await holding<[TokenAnswer, unknown]>(
    server.database,
    ['lock table refresh_families in share mode'],
    [() => redeem(server, { id: 'spa' }, got), () => operator.trust.token(got.code, 'operator')],
  )
  expect([redeemed.status, ended]).toEqual([200, 'authorization code'])
  expect((await refresh(server, { id: 'spa' }, redeemed.body.refresh_token)).body.error).toBe('invalid_grant')
})

it('a document that changes clients and people is applied while everything is revoked', async () => {
  const { email } = await person()
  const [first, second] = [await app({ firstParty: true }), await app({ firstParty: true })]
  const client = (id: string) => `
  - id: ${id}
    name: Changed
    kind: web
    first_party: true
    redirect_uris: [http://localhost:9/callback]`
  const document = `clients:${client(first)}${client(second)}\nusers:\n  - email: ${email}\n    name: Changed\n`
  const [applied, ended] = await holding<[{ changed: number }, { accounts: number }]>(
    server.database,
    ['select from clients where id = $1 for update', [second]],
    [() => operator.apply(document, { actor: 'operator' }), () => operator.trust.all('operator')],
  )
  expect([applied.changed, ended.accounts > 0]).toEqual([3, true])
})

it('a person who is new, and signs in while everything is revoked, comes in', async () => {
  const [first, second] = [await app({ firstParty: true }), await app({ firstParty: true })]
  const browser = createBrowser(server.issuer)
  const page = await open({ browser }, first)
  const email = `order-${++made}@example.com`
  const [ended, answer] = await holding<[{ clients: number }, Page]>(
    server.database,
    ['select from clients where id = $1 for update', [second]],
    [
      () => operator.trust.all('operator'),
      async () => {
        await server.addPerson(email)
        return browser.press(page, 'sign-in', { email, password: PASSWORD })
      },
    ],
  )
  expect([ended.clients > 0, gotCode(answer)]).toEqual([true, true])
})
