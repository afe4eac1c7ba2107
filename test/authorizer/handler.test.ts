import { createHandler } from '../../src/authorizer/handler.ts'
import type { LogEntry } from '../../src/authorizer/log.ts'
import { matchPolicy } from '../../src/gateway/policy-match.ts'
import { routeMapOf } from '../../src/vocabulary/route-map.ts'
import { AUDIENCE, ISSUER, mutations, sampleIssuer, type TokenChanges } from '../helpers/access-tokens.ts'
import { type EventParts, httpEvent, restEvent } from '../helpers/gateway-events.ts'

const now = () => new Date('2026-05-01T12:00:00Z')
const issuer = await sampleIssuer({ now })
const mutated = await mutations(issuer)
const routes = routeMapOf({
  'GET /orders': ['orders:read'],
  'POST /orders': ['orders:write'],
  'GET /orders/{id}': ['orders:read'],
  'GET /me': [],
  'GET /health': 'public',
  'GET /files/{name}': ['files:read'],
  'GET /files/{name}/preview': 'public',
})
const settings = { issuer: ISSUER, audience: AUDIENCE, routes, jwks: issuer.jwks }
let lines: LogEntry[] = []
const handler = createHandler(settings, { now, log: (entry) => lines.push(entry) })
beforeEach(() => {
  lines = []
})

type Answer = { status: 200 | 401 | 403; reason?: string; context?: Record<string, unknown>; principalId?: string }

type RestAnswer = { principalId: string; policyDocument: object; context: Record<string, string> }

/** What a REST API makes of the handler's answer. */
async function rest(parts: EventParts | object, ask = handler): Promise<Answer> {
  const event = 'type' in parts ? (parts as ReturnType<typeof restEvent>) : restEvent(parts)
  try {
    const { principalId, policyDocument, context } = (await ask(event)) as RestAnswer
    const verdict = matchPolicy(policyDocument, { action: 'execute-api:Invoke', arn: event.methodArn })
    return {
      status: verdict === 'allow' ? 200 : 403,
      reason: context.reason,
      context,
      principalId,
    }
  } catch (error) {
    expect((error as Error).message).toBe('Unauthorized')
    return { status: 401, reason: lines.at(-1)?.reason as string }
  }
}

/** What an HTTP API makes of it. */
async function http(parts: EventParts | object, ask = handler): Promise<Answer> {
  const answer = (await ask('type' in parts ? parts : httpEvent(parts))) as {
    isAuthorized: boolean
    context: Record<string, string>
  }
  expect(Object.keys(answer).sort()).toEqual(['context', 'isAuthorized'])
  return { status: answer.isAuthorized ? 200 : 403, reason: answer.context.reason, context: answer.context }
}

const bearer = async (changes?: TokenChanges) => `Bearer ${await issuer.sign(changes)}`

describe('createHandler', () => {
  it.each(['ES256', 'RS256'] as const)('allows a sound %s token with the route scope', async (alg) => {
    const authorization = await bearer({ alg, claims: { jti: 'j1' } })
    const context = { sub: 'ada', client_id: 'shop', scope: 'orders:read', jti: 'j1' }
    expect(await rest({ authorization })).toEqual({ status: 200, context, principalId: 'ada' })
    expect(await http({ authorization })).toEqual({ status: 200, context })
  })

  it('refuses a sound token without the scope with 403', async () => {
    const parts = { method: 'POST', authorization: await bearer() }
    expect(await rest(parts)).toMatchObject({ status: 403, reason: 'scope-missing' })
    expect(await http(parts)).toMatchObject({ status: 403, reason: 'scope-missing' })
    expect(lines[0]).toMatchObject({
      outcome: 403,
      reason: 'scope-missing',
      detail: 'orders:write',
      route: 'POST /orders',
    })
  })

  it('answers a missing token with 401, by a throw on REST and by a value on HTTP APIs', async () => {
    expect(await rest({})).toEqual({ status: 401, reason: 'missing' })
    expect(await http({})).toEqual({ status: 403, reason: 'missing', context: { reason: 'missing' } })
  })

  it('makes HTTP APIs throw too when told so, for 401 only', async () => {
    const throwing = createHandler({ ...settings, httpUnauthorized: 'throw' }, { now, log: () => {} })
    await expect(throwing(httpEvent())).rejects.toThrow(/^Unauthorized$/)
    expect(await http({ method: 'POST', authorization: await bearer() }, throwing)).toMatchObject({
      reason: 'scope-missing',
    })
  })

  it('wants no scope where the route lists none, but still a token', async () => {
    const authorization = await bearer({ claims: { scope: undefined } })
    expect(await rest({ path: '/me', authorization })).toMatchObject({ status: 200, context: { scope: '' } })
    expect(await rest({ path: '/me' })).toEqual({ status: 401, reason: 'missing' })
  })

  it('refuses a route that the map does not name', async () => {
    const parts = { path: '/invoices', authorization: await bearer() }
    expect(await rest(parts)).toMatchObject({ status: 403, reason: 'no-route-rule' })
    expect(await http(parts)).toMatchObject({ status: 403, reason: 'no-route-rule' })
    expect(await rest({ path: '/invoices' })).toMatchObject({ status: 401, reason: 'missing' })
  })

  it('allows a public route without, with a wrong, and with a right token', async () => {
    for (const authorization of [undefined, 'Bearer junk', 'Basic YTpi']) {
      expect(await rest({ path: '/health', authorization })).toEqual({
        status: 200,
        context: {},
        principalId: 'anonymous',
      })
      expect(await http({ path: '/health', authorization })).toEqual({ status: 200, context: {} })
    }
    expect(await rest({ path: '/health', authorization: await bearer() })).toMatchObject({ principalId: 'ada' })
  })

  it('S-122 S-125 refuses a bound token that comes without a checked proof', async () => {
    for (const cnf of [{ jkt: 'x' }, { 'x5t#S256': 'x' }, {}]) {
      const authorization = await bearer({ claims: { cnf } })
      expect(await rest({ authorization })).toEqual({ status: 401, reason: 'proof-missing' })
      expect(await http({ authorization })).toMatchObject({ status: 403, reason: 'proof-missing' })
    }
  })

  describe.each(mutated)('S-204 $name', ({ token, reason }) => {
    it('is refused on REST and on HTTP APIs, with its reason', async () => {
      const authorization = `Bearer ${token}`
      // A credential with characters that no token has is refused before it is looked at.
      expect(await rest({ authorization })).toEqual({ status: 401, reason })
      expect(await http({ authorization })).toEqual({ status: 403, reason, context: { reason } })
    })
  })
})

describe('events', () => {
  it('finds the header whatever its spelling, and empty maps as null', async () => {
    const authorization = await bearer()
    for (const name of ['Authorization', 'authorization', 'AUTHORIZATION']) {
      const event = {
        ...restEvent(),
        headers: { [name]: authorization },
        multiValueHeaders: null,
        pathParameters: null,
      }
      expect(await rest(event)).toMatchObject({ status: 200 })
      expect(await rest({ ...event, headers: null, multiValueHeaders: { [name]: [authorization] } })).toMatchObject({
        status: 200,
      })
      expect(await http({ ...httpEvent(), headers: { [name]: authorization } })).toMatchObject({ status: 200 })
    }
    const bare = { ...restEvent(), headers: null, multiValueHeaders: null, stageVariables: null, requestContext: null }
    expect(await rest(bare)).toEqual({ status: 401, reason: 'missing' })
  })

  it.each(['Bearer', 'bearer', 'BEARER', 'Bearer  '])('takes the scheme %j whatever its case', async (scheme) => {
    expect(await rest({ authorization: `${scheme} ${await issuer.sign()}` })).toMatchObject({ status: 200 })
  })

  it('refuses repeated Authorization headers, even equal ones', async () => {
    const good = await bearer()
    const twice = restEvent({ authorization: good })
    twice.multiValueHeaders.Authorization = [good, good]
    expect(await rest(twice)).toEqual({ status: 401, reason: 'malformed' })
    const twoSpellings = restEvent({ authorization: good })
    twoSpellings.multiValueHeaders.authorization = [good]
    expect(await rest(twoSpellings)).toEqual({ status: 401, reason: 'malformed' })
    const differing = restEvent({ authorization: good })
    differing.multiValueHeaders.Authorization = ['Bearer other']
    expect(await rest(differing)).toEqual({ status: 401, reason: 'malformed' })
    expect(await http({ authorization: `${good},${good}` })).toMatchObject({ reason: 'malformed' })
    expect(await http({ authorization: `${good}, Basic YTpi` })).toMatchObject({ reason: 'malformed' })
  })

  it.each([
    ['', 'missing'],
    ['Bearer', 'malformed'],
    ['Bearer ', 'malformed'],
    ['Bearer a b', 'malformed'],
    ['Bearer a\tb', 'malformed'],
    ['Basic YTpi', 'wrong-kind'],
    ['Bearerabc', 'wrong-kind'],
    ['DPoP abc', 'wrong-kind'],
    ['Bearer gth_at_0123456789', 'wrong-kind'],
    [`Bearer ${'a'.repeat(10_240)}`, 'malformed'],
  ])('S-210 answers Authorization %j with 401 %s', async (authorization, reason) => {
    expect(await rest({ authorization })).toEqual({ status: 401, reason })
    expect(await http({ authorization })).toMatchObject({ status: 403, reason })
  })

  it.each([
    ['a text', 'x'],
    ['null', null],
    ['undefined', undefined],
    ['a list', []],
    ['an empty object', {}],
    ['a TOKEN event', { type: 'TOKEN', authorizationToken: 'Bearer x', methodArn: restEvent().methodArn }],
    ['format 1.0', { ...restEvent(), version: '1.0' }],
    ['no ARN', { ...restEvent(), methodArn: undefined }],
    ['an ARN of another service', { ...restEvent(), methodArn: 'arn:aws:s3:::bucket/GET/orders' }],
    [
      'an ARN with a wildcard for the stage',
      { ...restEvent(), methodArn: 'arn:aws:execute-api:eu-west-1:123456789012:a1/*/GET/orders' },
    ],
    ['an ARN beyond 1600 bytes', { ...restEvent(), methodArn: `${restEvent().methodArn}/${'x'.repeat(1600)}` }],
  ])('S-210 refuses an event that is %s', async (_, event) => {
    await expect(handler(event)).rejects.toThrow(/^Unauthorized$/)
    expect(lines.at(-1)).toMatchObject({ level: 'error', msg: 'fault' })
  })

  it('S-210 refuses broken events of format 2.0 by a value', async () => {
    for (const broken of [{ rawPath: undefined }, { requestContext: null }, { rawPath: 7 }]) {
      const answer = await handler({ ...httpEvent({ authorization: await bearer() }), ...broken })
      expect(answer).toEqual({ isAuthorized: false, context: { reason: 'unavailable' } })
    }
  })

  it('S-210 refuses when its own parts fail, log included', async () => {
    const failing = createHandler(settings, {
      now,
      log: () => {
        throw new Error('disk full')
      },
    })
    const authorization = await bearer()
    await expect(failing(restEvent({ authorization }))).rejects.toThrow(/^Unauthorized$/)
    expect(await failing(httpEvent({ authorization }))).toMatchObject({ isAuthorized: false })
    const timeless = createHandler(settings, { now: () => new Date(Number.NaN), log: () => {} })
    await expect(timeless(restEvent({ authorization }))).rejects.toThrow(/^Unauthorized$/)
  })

  it('S-210 refuses when the issuer cannot be reached', async () => {
    const cut = createHandler(
      { ...settings, issuer: 'http://127.0.0.1:9', jwks: undefined },
      { now, log: (e) => lines.push(e) },
    )
    const authorization = await bearer({ claims: { iss: 'http://127.0.0.1:9' } })
    expect(await rest({ authorization }, cut)).toEqual({ status: 401, reason: 'unavailable' })
    expect(lines[0]).toMatchObject({ level: 'warn', msg: 'keys', detail: expect.stringContaining('ECONNREFUSED') })
  })

  it('leaves the stage out of the path of an HTTP API on its own domain only', async () => {
    const authorization = await bearer()
    const staged = httpEvent({ authorization, path: '/prod/orders', template: '/orders' })
    staged.requestContext.stage = 'prod'
    expect(await http(staged)).toMatchObject({ status: 200 })
    staged.requestContext.domainName = 'api.example.com'
    expect(await http(staged)).toMatchObject({ reason: 'no-route-rule' })
  })

  it('satisfies the rule of the gateway route too, where the gateway read the path another way', async () => {
    // Sent as /files/x%2Fpreview: routed to /files/{name}, handed on decoded.
    const parts = { path: '/files/x/preview', template: '/files/{name}' }
    expect(await http(parts)).toMatchObject({ reason: 'missing' })
    expect(await http({ ...parts, authorization: await bearer() })).toMatchObject({ reason: 'scope-missing' })
    expect(await http({ ...parts, template: '/{proxy+}' })).toMatchObject({ status: 200 })
    expect(await rest(parts)).toMatchObject({ status: 401 })
  })

  it('routes by path where the gateway has only one greedy route', async () => {
    const authorization = await bearer()
    expect(await rest({ path: '/orders/7', template: '/{proxy+}', authorization })).toMatchObject({ status: 200 })
    expect(await rest({ path: '/admin', template: '/{proxy+}', authorization })).toMatchObject({
      reason: 'no-route-rule',
    })
    const fallback = { ...httpEvent({ path: '/orders/7', authorization }), routeKey: '$default' }
    expect(await http(fallback)).toMatchObject({ status: 200 })
  })
})

describe('what leaves the authorizer', () => {
  it('S-211 hands on flat, bounded texts that were verified, and no token', async () => {
    const token = await issuer.sign({ claims: { groups: ['admin'], claims: { a: 1 }, email: 'ada@example.com' } })
    for (const event of [
      restEvent({ authorization: `Bearer ${token}` }),
      httpEvent({ authorization: `Bearer ${token}` }),
    ]) {
      const answer = (await handler(event)) as { context: Record<string, unknown> }
      expect(Object.keys(answer.context).sort()).toEqual(['client_id', 'jti', 'scope', 'sub'])
      expect(Object.values(answer.context).every((value) => typeof value === 'string')).toBe(true)
      expect(JSON.stringify(answer)).not.toContain(token.split('.')[2])
      expect(JSON.stringify(answer).length).toBeLessThan(8192)
    }
  })

  it('S-211 stays below 8 KB for the largest claims that are accepted', async () => {
    const long = 's'.repeat(512)
    const scope = Array.from({ length: 300 }, (_, n) => `scope:${n}`).join(' ')
    const authorization = await bearer({
      claims: { sub: long, client_id: long, jti: long, scope: `orders:read ${scope}` },
    })
    const answer = await handler(restEvent({ authorization }))
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThan(8192)
  })

  it('S-214 logs one line per decision, without token, header or free text from the caller', async () => {
    const token = await issuer.sign({ header: { kid: `evil\n{"outcome":"allow"}${'k'.repeat(500)}` } })
    await rest({ authorization: `Bearer ${token}`, path: '/orders/7' })
    expect(lines).toHaveLength(1)
    const text = JSON.stringify(lines[0])
    expect(text).not.toContain('\n')
    expect(text.length).toBeLessThan(1000)
    for (const part of token.split('.')) expect(text).not.toContain(part)
    expect(lines[0]).toMatchObject({
      time: '2026-05-01T12:00:00.000Z',
      msg: 'decision',
      outcome: 401,
      reason: 'unknown-key',
      route: 'GET /orders/{id}',
      request_id: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
    })
  })

  it('logs who was let in', async () => {
    await rest({ authorization: await bearer({ claims: { jti: 'j1' } }) })
    expect(lines).toEqual([
      expect.objectContaining({
        outcome: 'allow',
        kid: 'sample-ES256',
        client_id: 'shop',
        sub: 'ada',
        jti: 'j1',
        route: 'GET /orders',
      }),
    ])
  })
})
