// The gate of the first run: an issuer's keys over HTTP, the authorizer that ships, the local gateway, the demo API.
import { createHandler } from '../../src/authorizer/handler.ts'
import type { LogEntry } from '../../src/authorizer/log.ts'
import type { EventKind } from '../../src/gateway/event.ts'
import { type Gateway, startGateway } from '../../src/gateway/serve.ts'
import { createDemoApi, DEMO_ROUTES, demoAudience } from '../../src/tour/demo-api.ts'
import { mutations, sampleIssuer } from '../helpers/access-tokens.ts'
import { type JwksServer, jwksServer } from '../helpers/jwks-server.ts'

let server: JwksServer
let issuer: Awaited<ReturnType<typeof sampleIssuer>>
let gateway: Gateway
const decisions: LogEntry[] = []

async function open(kind: EventKind) {
  const settings = { issuer: server.issuer, audience: demoAudience(server.issuer), routes: DEMO_ROUTES }
  gateway = await startGateway({
    port: 0,
    hosts: ['127.0.0.1'],
    routes: DEMO_ROUTES,
    invoke: createHandler(settings, { log: (entry) => decisions.push(entry) }),
    backend: createDemoApi(),
    kind,
  })
}

type Answer = { orders: { item: string }[] }
const call = async (method: string, path: string, token?: string, body?: object) => {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
  })
  const answer = await response.json()
  return { status: response.status, body: answer as Answer, challenge: response.headers.get('www-authenticate') }
}

beforeEach(async () => {
  server = await jwksServer()
  issuer = await sampleIssuer({ issuer: server.issuer, audience: demoAudience(server.issuer) })
  server.keys = issuer.jwks.keys
  decisions.length = 0
})
afterEach(async () => {
  await gateway.close()
  await server.close()
})

describe('the demo behind a REST API', () => {
  beforeEach(() => open('rest'))

  it('answers 401 without a token, 403 with the wrong scope, 200 with the right one', async () => {
    expect(await call('GET', '/orders')).toEqual({
      status: 401,
      body: { message: 'Unauthorized' },
      challenge: 'Bearer',
    })
    const reader = await issuer.sign()
    expect(await call('POST', '/orders', reader, { item: 'Arch' })).toMatchObject({
      status: 403,
      challenge: 'Bearer error="insufficient_scope"',
    })
    expect(await call('GET', '/orders', reader)).toMatchObject({
      status: 200,
      body: { orders: [{ id: 1 }, { id: 2 }], caller: { sub: 'ada', client_id: 'shop', scope: 'orders:read' } },
    })
    expect(decisions.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      [403, 'scope-missing'],
      ['allow', undefined],
    ])
    expect(server.asked).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })

  it('places orders for whom the token names, and says what is wrong with one', async () => {
    const writer = await issuer.sign({ claims: { scope: 'orders:write orders:read' } })
    expect(await call('POST', '/orders', writer, { item: 'Arch', placedBy: 'eve' })).toMatchObject({
      status: 201,
      body: { id: 3, item: 'Arch', quantity: 1, placedBy: 'ada' },
    })
    for (const wrong of [{}, { item: 7 }, { item: '' }, { item: 'x'.repeat(101) }, { item: 'a', quantity: 0 }, []]) {
      expect(await call('POST', '/orders', writer, wrong)).toMatchObject({ status: 400 })
    }
    expect(await call('POST', '/orders', writer)).toMatchObject({ status: 400 })
    expect((await call('GET', '/orders', writer)).body.orders).toHaveLength(3)
  })

  it('keeps the last hundred orders', async () => {
    const writer = await issuer.sign({ claims: { scope: 'orders:write orders:read' } })
    for (let n = 0; n < 105; n++) await call('POST', '/orders', writer, { item: `no ${n}` })
    const { orders } = (await call('GET', '/orders', writer)).body
    expect([orders.length, orders.at(-1)?.item]).toEqual([100, 'no 104'])
  })

  it('S-204 answers every mutated token with the same 401', async () => {
    const answers = new Set<string>()
    for (const { token } of await mutations(issuer)) answers.add(JSON.stringify(await call('GET', '/orders', token)))
    expect([...answers]).toEqual(['{"status":401,"body":{"message":"Unauthorized"},"challenge":"Bearer"}'])
  })

  it('refuses a token of the same issuer for another resource', async () => {
    const token = await issuer.sign({ claims: { aud: `${server.issuer}/other` } })
    expect(await call('GET', '/orders', token)).toMatchObject({ status: 401 })
    expect(decisions[0]).toMatchObject({ reason: 'wrong-audience' })
  })
})

describe('the demo behind an HTTP API', () => {
  beforeEach(() => open('http'))

  it('answers 401 without a token, 403 with a wrong one, 200 with the right one', async () => {
    expect(await call('GET', '/orders')).toMatchObject({ status: 401 })
    expect(await call('GET', '/orders', 'junk')).toMatchObject({ status: 403, body: { message: 'Forbidden' } })
    const reader = await issuer.sign()
    expect(await call('POST', '/orders', reader, { item: 'Arch' })).toMatchObject({ status: 403 })
    expect(await call('GET', '/orders', reader)).toMatchObject({ status: 200, body: { caller: { sub: 'ada' } } })
  })
})
