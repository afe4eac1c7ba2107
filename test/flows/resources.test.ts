// Resources and scopes: what a request is for, and no more than that (RFC 8707, SECURITY S-041, S-042, S-077).
import { decodeJwt } from 'jose'
import { createBrowser } from '../helpers/browser.ts'
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
  type TokenAnswer,
} from '../helpers/flow.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

const FOREIGN = 'https://foreign.example.com'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })
const billing = () => ({ id: 'billing', secret: cast.billing })
let reader: { id: string; secret: string }

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addResource({
    id: FOREIGN,
    scopes: [
      { name: 'orders:read', text: 'The same word elsewhere', risk: 'normal', byDefault: true },
      { name: 'foreign:read', text: 'Read', risk: 'normal', byDefault: true },
    ],
  })
  reader = { id: 'reader', secret: await server.addClient({ id: 'reader', scopes: { [ORDERS]: ['orders:read'] } }) }
})
afterAll(() => server.stop())

const machine = (client: { id: string; secret: string }, form: Record<string, string | string[]> = {}) =>
  post(server, '/token', { grant_type: 'client_credentials', ...form }, client)
const words = (scope?: unknown) =>
  new Set(
    String(scope ?? '')
      .split(' ')
      .filter(Boolean),
  )
const scopesOf = ({ body }: TokenAnswer) => words(decodeJwt(body.access_token).scope)

async function errorOf(clientId: string, params: Record<string, string | undefined>, more: [string, string][] = []) {
  const url = authorizeUrl(server, clientId, pkce().challenge, params)
  for (const [name, value] of more) url.searchParams.append(name, value)
  const answer = await createBrowser(server.issuer).request(url)
  return new URL(answer.headers.get('location') ?? '', server.issuer).searchParams.get('error')
}

const BAD = [
  FOREIGN,
  'https://nowhere.example.com',
  `${ORDERS}#x`,
  `${ORDERS}/`,
  `${ORDERS}?x`,
  ORDERS.toUpperCase(),
  'orders',
  'javascript:x',
  '*',
]

it.each(BAD)('S-041 resource %s is invalid_target, wherever it is named', async (resource) => {
  expect(await errorOf('shop', { resource })).toBe('invalid_target')
  expect(await errorOf('shop', { resource: ORDERS }, [['resource', resource]])).toBe('invalid_target')
  expect((await machine(billing(), { resource })).body.error).toBe('invalid_target')
  const got = await obtainCode(server, 'shop', { resource: ORDERS })
  const refused = await redeem(server, shop(), got, { resource })
  expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target'])
})

it('S-041 a resource that the client has, but did not ask for, is not to be had at the exchange or later', async () => {
  const got = await obtainCode(server, 'shop', { resource: ORDERS })
  expect((await redeem(server, shop(), got, { resource: THINGS })).body.error).toBe('invalid_target')
  const { body } = await obtainTokens(server, shop(), { resource: ORDERS, scope: 'openid' })
  const next = await refresh(server, shop(), body.refresh_token, { resource: THINGS })
  expect([next.status, next.body.error]).toEqual([400, 'invalid_target'])
})

it('S-041 several resources: one consent, and a token for each by name', async () => {
  const browser = createBrowser(server.issuer)
  const proof = pkce()
  const url = authorizeUrl(server, 'shop', proof.challenge, {
    resource: ORDERS,
    scope: 'openid orders:read things:read',
  })
  url.searchParams.append('resource', THINGS)
  const done = await passPages(browser, await browser.open(url))
  const code = done.url.searchParams.get('code')!
  const first = await redeem(server, shop(), { code, ...proof }, { resource: ORDERS })
  expect(decodeJwt(first.body.access_token)).toMatchObject({ aud: ORDERS })
  expect(scopesOf(first)).toEqual(new Set(['openid', 'orders:read']))
  const second = await refresh(server, shop(), first.body.refresh_token, { resource: THINGS })
  const told = await introspect(server, { id: 'orders-api', secret: cast.api }, second.body.access_token)
  expect(told).toMatchObject({ active: true, aud: THINGS })
  expect(words(told.scope)).toEqual(new Set(['openid', 'things:read']))
})

it('S-042 resource and no scope: the default scopes, which leave out what is grave', async () => {
  const person = await obtainTokens(server, shop(), { resource: ORDERS, scope: undefined })
  expect(scopesOf(person)).toEqual(new Set(['orders:read']))
  expect(words(person.body.scope)).toEqual(new Set(['orders:read']))
  expect(scopesOf(await obtainTokens(server, shop(), { resource: ORDERS, scope: 'openid' }))).toEqual(
    new Set(['openid', 'orders:read']),
  )
  expect(scopesOf(await machine(billing(), { resource: ORDERS }))).toEqual(new Set(['orders:read']))
  // The only resource there is needs no name.
  expect(scopesOf(await machine(billing()))).toEqual(new Set(['orders:read']))
  expect((await machine(shop())).body.error).toBe('invalid_target')
})

it('scopes without resource: they name it, if exactly one has them', async () => {
  expect(
    decodeJwt((await obtainTokens(server, shop(), { scope: 'openid orders:write' })).body.access_token),
  ).toMatchObject({ aud: ORDERS })
  expect(decodeJwt((await machine(shop(), { scope: 'orders:read' })).body.access_token)).toMatchObject({ aud: ORDERS })
  expect(await errorOf('shop', { scope: 'openid orders:read things:read' })).toBe('invalid_target')
  expect((await machine(shop(), { scope: 'orders:read things:read' })).body.error).toBe('invalid_target')
})

describe('S-077 a scope is granted only if client and resource both have it', () => {
  it.each([['orders:write'], ['foreign:read'], ['nosuch'], ['things:read']])(
    '%s alone is invalid_scope for a client without it',
    async (scope) => {
      for (const resource of [undefined, ORDERS])
        expect(await errorOf('reader', { scope: `openid ${scope}`, resource })).toBe('invalid_scope')
      for (const form of [{ scope }, { scope, resource: ORDERS }] as Record<string, string>[]) {
        const answer = await machine(billing(), form)
        expect([answer.status, answer.body.error, answer.body.access_token]).toEqual([400, 'invalid_scope', undefined])
      }
    },
  )

  it('beside an allowed one it is left out of token, answer and consent page', async () => {
    const browser = createBrowser(server.issuer)
    const page = await browser.open(
      authorizeUrl(server, 'reader', pkce().challenge, { scope: 'openid orders:read orders:write foreign:read' }),
    )
    const consent = await browser.press(page, 'sign-in', {
      email: 'ada@example.com',
      password: PASSWORD,
    })
    expect(consent.html).toContain('See your orders')
    expect(consent.html).not.toContain('Place and cancel orders')
    const tokens = await obtainTokens(server, reader, { scope: 'openid orders:read orders:write foreign:read' })
    expect(scopesOf(tokens)).toEqual(new Set(['openid', 'orders:read']))
    expect(words(tokens.body.scope)).toEqual(new Set(['openid', 'orders:read']))
    expect(scopesOf(await machine(billing(), { scope: 'orders:read orders:write' }))).toEqual(new Set(['orders:read']))
  })

  it('it is not added at the exchange or at a refresh', async () => {
    const got = await obtainCode(server, 'shop', { scope: 'openid orders:read' })
    const first = await redeem(server, shop(), got, { scope: 'openid orders:read orders:write' })
    expect(scopesOf(first)).toEqual(new Set(['openid', 'orders:read']))
    const more = await refresh(server, shop(), first.body.refresh_token, { scope: 'openid orders:read orders:write' })
    expect([more.status, more.body.error]).toEqual([400, 'invalid_scope'])
    const plain = await refresh(server, shop(), first.body.refresh_token)
    expect(scopesOf(plain)).toEqual(new Set(['openid', 'orders:read']))
  })

  it('what is taken from client or resource is gone from the next token', async () => {
    const { body } = await obtainTokens(server, shop(), { scope: 'openid orders:read orders:write' })
    const before = (await server.rooms.clients.find('shop'))!
    await server.rooms.clients.change(
      { ...before, scopes: { ...before.scopes, [ORDERS]: ['orders:read'] } },
      'operator',
    )
    expect(scopesOf(await refresh(server, shop(), body.refresh_token))).toEqual(new Set(['openid', 'orders:read']))
    await server.rooms.clients.change(before, 'operator')
    const orders = (await server.rooms.resources.find(ORDERS))!
    await server.rooms.resources.change(
      { ...orders, scopes: orders.scopes.filter(({ name }) => name !== 'orders:write') },
      'operator',
    )
    expect(scopesOf(await refresh(server, shop(), body.refresh_token))).toEqual(new Set(['openid', 'orders:read']))
    await server.rooms.resources.change(orders, 'operator')
    expect(scopesOf(await refresh(server, shop(), body.refresh_token))).toEqual(
      new Set(['openid', 'orders:read', 'orders:write']),
    )
  })
})
