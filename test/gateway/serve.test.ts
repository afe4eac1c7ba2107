// The gateway with hand-made authorizers: what API Gateway does with each kind of answer.
import { request } from 'node:http'
import { connect } from 'node:net'
import type { BackendRequest } from '../../src/gateway/backend.ts'
import { type Gateway, type GatewayEntry, type GatewayParts, startGateway } from '../../src/gateway/serve.ts'
import { OperatorFault } from '../../src/vocabulary/fault.ts'
import { routeMapOf } from '../../src/vocabulary/route-map.ts'

const routes = routeMapOf({
  'GET /orders': ['a'],
  'POST /orders/{id}': ['a'],
  'ANY /files/{path+}': ['a'],
  'GET /health': 'public',
})
const policy = (Effect: string, Resource: string) => ({
  Version: '2012-10-17',
  Statement: [{ Effect, Action: 'execute-api:Invoke', Resource }],
})
let gateway: Gateway | undefined
let entries: GatewayEntry[]
// biome-ignore lint/suspicious/noExplicitAny: events are JSON, looked at from outside
type Event = any
let events: Event[]
let backendCalls: BackendRequest[]

async function start(invoke: (event: Event) => unknown, change: Partial<GatewayParts> = {}) {
  entries = []
  events = []
  backendCalls = []
  gateway = await startGateway({
    port: 0,
    hosts: ['127.0.0.1'],
    routes,
    async invoke(event) {
      events.push(event)
      return invoke(event)
    },
    async backend(call) {
      backendCalls.push(call)
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: 'fine' }
    },
    log: (entry) => entries.push(entry),
    ...change,
  })
  return gateway
}
const call = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${gateway!.port}${path}`, { headers: { authorization: 'Bearer x' }, ...init })

afterEach(() => gateway?.close())

describe('a REST API', () => {
  const allow = (event: { methodArn: string }) => ({
    principalId: 'ada',
    policyDocument: policy('Allow', event.methodArn),
    context: { sub: 'ada', n: 1, yes: true },
  })

  it('passes an allowed call on, with the context as texts', async () => {
    await start(allow)
    const response = await call('/orders/7?a=1&a=2', {
      method: 'POST',
      body: 'hello',
      headers: { authorization: 'Bearer x', 'X-Custom': 'y' },
    })
    expect([response.status, await response.text()]).toEqual([200, 'fine'])
    expect(backendCalls[0]).toMatchObject({
      method: 'POST',
      route: '/orders/{id}',
      path: '/orders/7',
      parameters: { id: '7' },
      body: 'hello',
      authorizer: { principalId: 'ada', sub: 'ada', n: '1', yes: 'true' },
    })
    expect(backendCalls[0]!.query.getAll('a')).toEqual(['1', '2'])
    expect(backendCalls[0]!.headers['x-custom']).toBe('y')
  })

  it('sends the fields of a REST REQUEST event', async () => {
    await start(allow)
    await call('/orders/7?a=1&a=2', { method: 'POST' })
    const event = events[0]
    expect(Object.keys(event).sort()).toEqual(
      'headers httpMethod methodArn multiValueHeaders multiValueQueryStringParameters path pathParameters queryStringParameters requestContext resource stageVariables type'.split(
        ' ',
      ),
    )
    expect(event).toMatchObject({
      type: 'REQUEST',
      methodArn: 'arn:aws:execute-api:eu-west-1:123456789012:gatehouse0/local/POST/orders/7',
      resource: '/orders/{id}',
      path: '/orders/7',
      httpMethod: 'POST',
      pathParameters: { id: '7' },
      queryStringParameters: { a: '2' },
      multiValueQueryStringParameters: { a: ['1', '2'] },
      requestContext: {
        stage: 'local',
        path: '/local/orders/7',
        resourcePath: '/orders/{id}',
        identity: { sourceIp: '127.0.0.1' },
      },
    })
    expect(event.requestContext.requestTime).toMatch(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/)
  })

  it('keeps the spelling of header names, and all values of a repeated header in the second map', async () => {
    await start(allow)
    await new Promise<void>((resolve, reject) => {
      const socket = connect(gateway!.port, '127.0.0.1', () => {
        socket.write(
          'GET /orders HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Bearer 1\r\nAuthorization: Bearer 2\r\nAuthorization: Bearer 3\r\nConnection: close\r\n\r\n',
        )
      })
      socket
        .on('data', () => {})
        .on('error', reject)
        .on('close', () => resolve())
    })
    const { headers, multiValueHeaders } = events[0]
    expect(headers).toMatchObject({ AUTHORIZATION: 'Bearer 1', Authorization: 'Bearer 3' })
    expect(multiValueHeaders).toMatchObject({ AUTHORIZATION: ['Bearer 1'], Authorization: ['Bearer 2', 'Bearer 3'] })
  })

  it('answers a call without Authorization with 401, and asks nobody', async () => {
    await start(allow)
    for (const headers of [{}, { authorization: '' }] as Record<string, string>[]) {
      const response = await call('/orders', { headers })
      expect(response.status).toBe(401)
      expect(await response.json()).toEqual({ message: 'Unauthorized' })
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
    }
    expect(events).toEqual([])
    expect(entries[0]).toMatchObject({ status: 401, reason: 'missing' })
  })

  it.each([
    ['throws Unauthorized', () => Promise.reject(new Error('Unauthorized')), 401, { message: 'Unauthorized' }],
    ['throws Unauthorized.', () => Promise.reject(new Error('Unauthorized.')), 500, { message: null }],
    ['throws anything else', () => Promise.reject(new Error('boom')), 500, { message: null }],
    ['throws no Error', () => Promise.reject('boom'), 500, { message: null }],
    ['answers nothing', () => undefined, 500, { message: null }],
    ['answers null', () => null, 500, { message: null }],
    ['answers another shape', () => ({ isAuthorized: true }), 500, { message: null }],
    [
      'names no principal',
      (e: { methodArn: string }) => ({ ...allow(e), principalId: undefined }),
      500,
      { message: null },
    ],
    [
      'nests its context',
      (e: { methodArn: string }) => ({ ...allow(e), context: { a: ['b'] } }),
      500,
      { message: null },
    ],
    [
      'writes a broken policy',
      (e: { methodArn: string }) => ({ ...allow(e), policyDocument: { Statement: [] } }),
      500,
      { message: null },
    ],
    [
      'denies',
      () => ({ principalId: 'a', policyDocument: policy('Deny', '*'), context: { reason: 'scope-missing' } }),
      403,
      { Message: 'User is not authorized to access this resource with an explicit deny' },
    ],
    [
      'allows another call only',
      (e: { methodArn: string }) => ({ principalId: 'a', policyDocument: policy('Allow', `${e.methodArn}/x`) }),
      403,
      { Message: 'User is not authorized to access this resource' },
    ],
  ])('when the authorizer %s', async (_, invoke, status, body) => {
    await start(invoke as never)
    const response = await call('/orders')
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual(body)
    expect(backendCalls).toEqual([])
    const challenge = { 401: 'Bearer', 403: 'Bearer error="insufficient_scope"', 500: null }[status as 401]
    expect(response.headers.get('www-authenticate')).toBe(challenge)
  })

  it('tells the reason on its log and not to the caller', async () => {
    await start(() => ({ principalId: 'a', policyDocument: policy('Deny', '*'), context: { reason: 'scope-missing' } }))
    const response = await call('/orders')
    expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain('scope-missing')
    expect(entries).toEqual([
      expect.objectContaining({ method: 'GET', path: '/orders', status: 403, reason: 'scope-missing' }),
    ])
  })

  it('serves public routes without asking, and no route that it was not given', async () => {
    await start(allow)
    expect((await call('/health', { headers: {} })).status).toBe(200)
    expect(events).toEqual([])
    for (const [method, path] of [
      ['GET', '/nowhere'],
      ['DELETE', '/orders'],
      ['GET', '/'],
      ['GET', '/health/'],
    ] as const) {
      const response = await call(path, { method })
      expect([response.status, await response.json()]).toEqual([403, { message: 'Missing Authentication Token' }])
    }
    expect(backendCalls).toHaveLength(1)
  })

  it('takes no request target that is not a path', async () => {
    await start(allow)
    const status = await new Promise((resolve) => {
      request({ port: gateway!.port, host: '127.0.0.1', path: 'http://evil.example/health' }, (response) =>
        resolve(response.statusCode),
      ).end()
    })
    expect(status).toBe(403)
  })

  it('refuses what is too long: path and body', async () => {
    await start(allow)
    expect((await call(`/files/${'x'.repeat(1600)}`)).status).toBe(414)
    expect((await call('/orders/7', { method: 'POST', body: 'x'.repeat(1024 * 1024 + 1) })).status).toBe(413)
    expect((await call('/orders/7', { method: 'POST', body: 'x'.repeat(1024 * 1024) })).status).toBe(200)
  })

  it('survives an API that fails or writes nonsense', async () => {
    const answers = [
      () => Promise.reject(new Error('database gone')),
      async () => ({ status: 200, headers: { 'bad name': 'x' } }),
      async () => ({ status: 200, body: 'back again' }),
    ]
    await start(allow, { backend: () => answers.shift()!() })
    const response = await call('/orders')
    expect([response.status, await response.text()]).toEqual([502, '{"message":"Internal server error"}'])
    await expect(call('/orders')).rejects.toThrow()
    expect(await (await call('/orders')).text()).toBe('back again')
  })
})

describe('an HTTP API', () => {
  const startHttp = (invoke: (event: Event) => unknown) => start(invoke, { kind: 'http' })

  it('sends the fields of format 2.0, and passes an allowed call on with the context as it is', async () => {
    await startHttp(() => ({ isAuthorized: true, context: { n: 1, list: ['a'] } }))
    const headers = { Authorization: 'Bearer x', Cookie: 'a=1; b=2', 'X-Two': 'y' }
    expect((await call('/orders/7?a=1&a=2', { method: 'POST', headers })).status).toBe(200)
    expect(backendCalls[0]!.authorizer).toEqual({ n: 1, list: ['a'] })
    const event = events[0]
    expect(Object.keys(event).sort()).toEqual(
      'cookies headers identitySource pathParameters queryStringParameters rawPath rawQueryString requestContext routeArn routeKey stageVariables type version'.split(
        ' ',
      ),
    )
    expect(event).toMatchObject({
      version: '2.0',
      routeKey: 'POST /orders/{id}',
      rawPath: '/orders/7',
      rawQueryString: 'a=1&a=2',
      queryStringParameters: { a: '1,2' },
      cookies: ['a=1', 'b=2'],
      headers: { authorization: 'Bearer x', 'x-two': 'y' },
      requestContext: { stage: '$default', http: { method: 'POST', path: '/orders/7' } },
    })
  })

  it.each([
    ['refuses', () => ({ isAuthorized: false, context: { reason: 'expired' } }), 403, { message: 'Forbidden' }],
    ['throws Unauthorized', () => Promise.reject(new Error('Unauthorized')), 500, { message: 'Internal Server Error' }],
    [
      'answers a policy',
      () => ({ principalId: 'a', policyDocument: policy('Allow', '*') }),
      500,
      { message: 'Internal Server Error' },
    ],
    ['answers a text for a truth', () => ({ isAuthorized: 'true' }), 500, { message: 'Internal Server Error' }],
  ])('when the authorizer %s', async (_, invoke, status, body) => {
    await startHttp(invoke)
    const response = await call('/orders')
    expect([response.status, await response.json()]).toEqual([status, body])
  })

  it('answers 401 without Authorization and 404 without a route', async () => {
    await startHttp(() => ({ isAuthorized: true }))
    expect((await call('/orders', { headers: {} })).status).toBe(401)
    expect((await call('/nowhere')).status).toBe(404)
    expect(events).toEqual([])
  })
})

describe('startGateway', () => {
  it('listens on every address that this machine has', async () => {
    await start(() => undefined, { hosts: ['127.0.0.1', '192.0.2.1'] })
    expect((await call('/health')).status).toBe(200)
  })

  it('says what to do when it cannot listen', async () => {
    const first = await start(() => undefined)
    const parts = {
      port: first.port,
      hosts: ['127.0.0.1'],
      routes,
      invoke: async () => ({}),
      backend: async () => ({ status: 200 }),
    }
    const fault = await startGateway(parts).catch((error) => error)
    expect(fault).toBeInstanceOf(OperatorFault)
    expect([fault.message, fault.advice].join(' ')).toMatch(
      new RegExp(`Port ${first.port} .*gateway.* is in use.*GATEHOUSE_GATEWAY_PORT`),
    )
    await expect(startGateway({ ...parts, hosts: ['192.0.2.1'] })).rejects.toThrow('None of 192.0.2.1')
  })

  it('frees its port at once, with connections still open', async () => {
    await start(() => undefined)
    await call('/health')
    const started = performance.now()
    await gateway!.close()
    expect(performance.now() - started).toBeLessThan(1900)
    await expect(call('/health')).rejects.toThrow()
  })
})
