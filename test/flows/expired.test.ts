// What is over is over, although its row is still there: nothing is swept here, as if the sweeper had never run.
import { connect } from '../../src/db/connect.ts'
import { startSweeper } from '../../src/db/sweeper.ts'
import { createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import {
  authorizeUrl,
  introspect,
  obtainCode,
  obtainTokens,
  passPages,
  pkce,
  post,
  redeem,
  refresh,
} from '../helpers/flow.ts'
import { addCast, addMachine, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'
import { createSigner } from '../helpers/signer.ts'

const MINUTE = 60
const DAY = 24 * 60 * MINUTE

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let machine: { id: string; secret: string }
let people = 0

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  machine = await addMachine(server)
  await server.addClient({ id: 'phone', kind: 'native', authMethod: 'none', firstParty: true, refresh: 'offline' })
})
afterAll(() => server?.stop())
beforeEach(() => holdClock())
afterEach(() => releaseClock())

const spa = { id: 'spa' }
const active = async (token: string) =>
  (await introspect(server, { id: 'orders-api', secret: cast.api }, token)).active === true
const count = async (table: string) => (await server.database.pool().query(`select from ${table}`)).rowCount

/** Each case makes one thing whose row has an end, and says how to see whether it still works. */
const cases: [what: string, table: string, seconds: number, make: () => Promise<() => Promise<boolean>>][] = [
  [
    'an authorization code',
    'authorization_codes',
    MINUTE,
    async () => {
      const got = await obtainCode(server, spa.id)
      return async () => (await redeem(server, spa, got)).status === 200
    },
  ],
  [
    'an opaque access token of a person',
    'access_tokens',
    10 * MINUTE,
    async () => {
      const { body } = await obtainTokens(server, spa, { scope: 'openid things:read' })
      return () => active(body.access_token)
    },
  ],
  [
    'an opaque access token of a client',
    'access_tokens',
    10 * MINUTE,
    async () => {
      const { body } = await post(server, '/token', { grant_type: 'client_credentials', scope: 'things:read' }, machine)
      return () => active(body.access_token)
    },
  ],
  [
    'a refresh family',
    'refresh_families',
    30 * DAY,
    async () => {
      const { body } = await obtainTokens(server, { id: 'phone' })
      return async () => (await refresh(server, { id: 'phone' }, body.refresh_token)).status === 200
    },
  ],
  [
    'a login session',
    'sessions',
    12 * 60 * MINUTE,
    async () => {
      const { browser } = await obtainCode(server, spa.id)
      const cookie = await browser.jar.getCookieString(server.issuer)
      const silent = authorizeUrl(server, spa.id, pkce().challenge, { prompt: 'none' })
      return async () => {
        const answer = await fetch(silent, { headers: { cookie }, redirect: 'manual' })
        return new URL(answer.headers.get('location')!).searchParams.has('code')
      }
    },
  ],
  [
    'a sign-in under way',
    'interactions',
    15 * MINUTE,
    async () => {
      const browser = createBrowser(server.issuer)
      const { url } = await browser.open(authorizeUrl(server, spa.id, pkce().challenge))
      const cookie = await browser.jar.getCookieString(url.href)
      return async () => (await fetch(url, { headers: { cookie } })).status === 200
    },
  ],
  [
    'a grant',
    'grants',
    100 * DAY,
    async () => {
      const email = `person-${people++}@example.com`
      const id = await server.addPerson(email)
      const browser = createBrowser(server.issuer)
      await passPages(browser, await browser.open(authorizeUrl(server, spa.id, pkce().challenge)), email)
      const { grants } = server.rooms.sessions
      const [grant] = await grants.listOf(id)
      return async () => (await grants.find(grant!.id)) !== undefined && (await grants.listOf(id)).length === 1
    },
  ],
  [
    'a pushed request',
    'pushed_requests',
    MINUTE,
    async () => {
      const { browser } = await obtainCode(server, spa.id)
      const form = Object.fromEntries(authorizeUrl(server, spa.id, pkce().challenge).searchParams)
      const { body } = await post(server, '/par', form, spa)
      const query = new URLSearchParams({ client_id: spa.id, request_uri: String(body.request_uri) })
      return async () => (await browser.open(`${server.issuer}/authorize?${query}`)).url.searchParams.has('code')
    },
  ],
  [
    'a one-time link',
    'account_links',
    DAY,
    async () => {
      const id = await server.addPerson(`person-${people++}@example.com`)
      const { token } = await server.rooms.accounts.makeSetPasswordLink(id, 'operator')
      return async () => (await fetch(`${server.issuer}/set-password?token=${token}`)).status === 200
    },
  ],
]

it.each(cases)('S-216 %s', async (_what, table, seconds, make) => {
  const works = [await make(), await make()]
  const rows = await count(table)
  passSeconds(seconds - 2)
  expect(await works[0]!()).toBe(true)
  // Where use moves the end, the other one was not used. Clocks may differ by ten seconds.
  passSeconds(14)
  expect(await works[1]!()).toBe(false)
  expect(await count(table)).toBeGreaterThanOrEqual(rows!)
})

it('S-216 what was used once, and what has ended, is remembered for as long as it could be good by itself', async () => {
  const signer = await createSigner(server.issuer, 'signs')
  await server.addClient({ id: 'signs', authMethod: 'private_key_jwt', jwks: signer.jwks })
  const [used, unused] = [await signer.assert(), await signer.assert()]
  const claim = (assertion: object) =>
    post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS, ...assertion })
  const ask = async () => (await claim(await signer.assert())).body.access_token
  const [revoked, kept] = [await ask(), await ask()]
  expect((await claim(used)).status).toBe(200)
  await post(server, '/revoke', { token: revoked, ...(await signer.assert()) })
  const { db, close } = connect(server.database.connection)
  const sweeper = startSweeper({ db, now: () => new Date(), report: () => undefined }, 0)
  try {
    // Clocks may differ by ten seconds.
    passSeconds(MINUTE + 8)
    await sweeper.sweep()
    expect([(await claim(used)).status, (await claim(unused)).status]).toEqual([401, 200])
    passSeconds(9 * MINUTE - 10)
    await sweeper.sweep()
    expect([await active(revoked), await active(kept)]).toEqual([false, true])
    passSeconds(3 * MINUTE)
    expect(await sweeper.sweep()).toBeGreaterThan(0)
    expect([await count('replays'), await active(kept)]).toEqual([0, false])
    passSeconds(DAY)
    await sweeper.sweep()
    expect(await count('endings')).toBe(0)
  } finally {
    await close()
  }
})

it('S-216 what many tokens have in common is not swept before the last of them is over', async () => {
  const ask = () => post(server, '/token', { grant_type: 'client_credentials', scope: 'things:read' }, machine)
  const { db, close } = connect(server.database.connection)
  // Ahead by as long as rows are kept: it removes whatever is over at the moment.
  const now = () => new Date(Date.now() + 60_000)
  const sweeper = startSweeper({ db, now, report: () => undefined }, 0)
  try {
    // Other tests have been in the future.
    await server.database.pool().query('delete from access_tokens; delete from token_facts')
    await ask()
    passSeconds(24 * 60 * MINUTE)
    const first = await ask()
    passSeconds(5 * MINUTE)
    const { body } = await ask()
    passSeconds(9 * MINUTE)
    await sweeper.sweep()
    expect([await active(first.body.access_token), await active(body.access_token)]).toEqual([false, true])
    passSeconds(2 * DAY)
    await sweeper.sweep()
    expect([await count('token_facts'), await count('access_tokens')]).toEqual([0, 0])
  } finally {
    await close()
  }
})
