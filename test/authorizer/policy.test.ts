// The compiler against an independent evaluator, and both against the decision table: what a policy says of a call must be
// what the table says of it, also when the policy was made for another call and came from a gateway's cache.
import { createPolicyCompiler, type PolicyDocument } from '../../src/authorizer/policy.ts'
import { matchPolicy } from '../../src/gateway/policy-match.ts'
import { decide } from '../../src/vocabulary/decision.ts'
import { matchRoute } from '../../src/vocabulary/match-route.ts'
import { METHODS, type RouteMap, type RouteRule, routeMapOf } from '../../src/vocabulary/route-map.ts'

const STAGE = 'arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod'
type Call = readonly [method: string, path: string]

function gate(document: Record<string, RouteRule>) {
  const routes: RouteMap = routeMapOf(document)
  const compile = createPolicyCompiler(routes)
  const decision = ([method, path]: Call, scopes: readonly string[]) =>
    decide({ active: true, scopes }, { required: matchRoute(routes, method, path)?.route.rule }).outcome === 'allow'
  const policy = (call: Call, scopes: readonly string[]): PolicyDocument =>
    compile({
      arn: arnOf(call),
      allowed: decision(call, scopes),
      allows: ({ rule }) => decide({ active: true, scopes }, { required: rule }).outcome === 'allow',
      key: scopes.join(' '),
    })
  return { routes, decision, policy, mapped: ([m, p]: Call) => matchRoute(routes, m, p) !== undefined }
}

const arnOf = ([method, path]: Call) => `${STAGE}/${method}${path}`
const passes = (policy: PolicyDocument, call: Call) =>
  matchPolicy(policy, { action: 'execute-api:Invoke', arn: arnOf(call) }) === 'allow'
const subsets = (all: readonly string[]): string[][] =>
  Array.from({ length: 2 ** all.length }, (_, bits) => all.filter((_, n) => bits & (1 << n)))
const resources = (policy: PolicyDocument, effect: 'Allow' | 'Deny') =>
  policy.Statement.filter(({ Effect }) => Effect === effect).flatMap(({ Resource }) =>
    Resource.map((resource) => resource.replace(`${STAGE}/`, '')),
  )

describe('createPolicyCompiler', () => {
  const shop = gate({
    'GET /orders': ['orders:read'],
    'POST /orders': ['orders:write'],
    'GET /orders/{id}': ['orders:read'],
    'DELETE /orders/{id}': ['orders:write'],
    'GET /orders/export': ['orders:export'],
    'GET /orders/{id}/items': ['orders:read'],
    'GET /orders/{id}/items/{item}': ['orders:read'],
    'GET /orders/{id}/secrets': ['secrets:read'],
    'GET /customers/{id}': ['customers:read'],
    'ANY /customers/{id}/notes': ['customers:read', 'notes'],
    'GET /files/{path+}': ['files:read'],
    'GET /files/private/{path+}': ['files:private'],
    'GET /me': [],
    'GET /health': 'public',
  })
  const calls: Call[] = [
    ['GET', '/orders'],
    ['POST', '/orders'],
    ['GET', '/orders/7'],
    ['DELETE', '/orders/7'],
    ['GET', '/orders/export'],
    ['GET', '/orders/7/items'],
    ['GET', '/orders/7/items/9'],
    ['GET', '/orders/7/secrets'],
    ['GET', '/orders/export/secrets'],
    ['GET', '/customers/3'],
    ['GET', '/customers/3/notes'],
    ['PATCH', '/customers/3/notes'],
    ['GET', '/files/a'],
    ['GET', '/files/a/b/c'],
    ['GET', '/files/private/a'],
    ['GET', '/files/private/a/b'],
    ['GET', '/me'],
    ['GET', '/health'],
    ['PUT', '/orders'],
    ['GET', '/invoices'],
  ]
  const scopes = [
    'orders:read',
    'orders:write',
    'orders:export',
    'secrets:read',
    'customers:read',
    'notes',
    'files:read',
    'files:private',
  ]

  it('S-205 says of every call what the table says, whichever call the policy was made for', () => {
    for (const granted of subsets(scopes)) {
      const expected = calls.map((call) => shop.decision(call, granted))
      for (const made of calls.slice(0, 6).concat(calls.slice(-2))) {
        const policy = shop.policy(made, granted)
        for (const [index, call] of calls.entries()) {
          const told = `${granted} made for ${made}, used for ${call}`
          expect([told, passes(policy, call)]).toEqual([told, expected[index]])
        }
      }
    }
  })

  it('writes no more than is needed', () => {
    const policy = shop.policy(['GET', '/orders'], ['orders:write'])
    expect(resources(policy, 'Allow').sort()).toEqual(['DELETE/orders/*', 'GET/health', 'GET/me', 'POST/orders'])
    expect(resources(policy, 'Deny')).toEqual(['DELETE/orders/*/*', 'DELETE/orders/'])
  })

  it('cuts back a star that would cross into a route of other scopes', () => {
    const small = gate({ 'GET /orders/{id}': ['a'], 'GET /orders/{id}/secrets': ['b'] })
    const policy = small.policy(['GET', '/orders/7'], ['a'])
    expect(resources(policy, 'Allow')).toEqual(['GET/orders/*'])
    expect(passes(policy, ['GET', '/orders/7/secrets'])).toBe(false)
    expect(passes(policy, ['GET', '/orders/7/unknown'])).toBe(false)
    expect(passes(policy, ['GET', '/orders/'])).toBe(false)
  })

  it('does not let an encoded spelling slip past a Deny', () => {
    const small = gate({ 'GET /orders/{id}': ['a'], 'GET /orders/export': ['b'] })
    const cached = small.policy(['GET', '/orders/7'], ['a'])
    expect(passes(cached, ['GET', '/orders/%65xport'])).toBe(false)
    expect(passes(small.policy(['GET', '/orders/a%20b'], ['a']), ['GET', '/orders/a%20b'])).toBe(true)
    expect(passes(small.policy(['GET', '/orders/%65xport'], ['a']), ['GET', '/orders/%65xport'])).toBe(false)
  })

  it('allows a call whose parameter looks like a denied route, one by one', () => {
    const small = gate({ 'GET /a/{x}': ['a'], 'GET /a/{x}/b/{y}': ['a'], 'GET /a/{x}/notes': ['n'] })
    expect(passes(small.policy(['GET', '/a/1/b/notes'], ['a']), ['GET', '/a/1/b/notes'])).toBe(true)
    expect(passes(small.policy(['GET', '/a/1/b/2'], ['a']), ['GET', '/a/1/notes'])).toBe(false)
  })

  it('allows nothing by a path that has wildcards of its own', () => {
    const small = gate({ 'GET /a/{x}': ['a'], 'GET /a/{x}/b/{y}': ['a'], 'GET /a/{x}/notes': ['n'] })
    for (const path of ['/a/*/b/notes', '/a/$' + '{aws:x}/b/notes']) {
      const policy = small.policy(['GET', path], ['a'])
      expect(resources(policy, 'Allow')).toEqual([])
      expect(passes(policy, ['GET', '/a/1/notes'])).toBe(false)
    }
    expect(passes(small.policy(['GET', '/a/*'], ['a']), ['GET', '/a/1/notes'])).toBe(false)
  })

  it('names the stage of the call, and no other', () => {
    for (const [made, granted] of [
      [calls[0], scopes],
      [calls[7], []],
      [calls[19], scopes],
    ] as const) {
      for (const { Resource } of shop.policy(made as Call, granted).Statement) {
        for (const resource of Resource) expect(resource.startsWith(`${STAGE}/`)).toBe(true)
      }
    }
  })

  it('falls back to the call itself where the map is too large for one policy', () => {
    const many = gate(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`GET /collection-${n}/{id}`, ['a']])))
    const policy = many.policy(['GET', '/collection-3/1'], ['a'])
    expect(resources(policy, 'Allow')).toEqual(['GET/collection-3/1'])
    expect(passes(many.policy(['GET', '/nowhere'], ['a']), ['GET', '/nowhere'])).toBe(false)
    expect(passes(many.policy(['GET', '/collection-3/*'], ['a']), ['GET', '/collection-4/1'])).toBe(false)
  })

  it('writes no resource longer than 512 characters', () => {
    const long = `/${'x'.repeat(500)}/{id}`
    const policy = gate({ [`GET ${long}`]: ['a'], 'GET /b': ['a'] }).policy(['GET', '/b'], ['a'])
    expect(policy.Statement.flatMap(({ Resource }) => Resource).every((resource) => resource.length <= 512)).toBe(true)
    expect(passes(policy, ['GET', '/b'])).toBe(true)
  })

  it('gives a stranger the public routes only', () => {
    const routes = routeMapOf({ 'GET /health': 'public', 'GET /me': [], 'GET /orders': ['a'] })
    const policy = createPolicyCompiler(routes)({
      arn: arnOf(['GET', '/health']),
      allowed: true,
      allows: ({ rule }) => decide({ active: false, scopes: [] }, { required: rule }).outcome === 'allow',
      key: 'public only',
    })
    expect(resources(policy, 'Allow')).toEqual(['GET/health'])
  })
})

describe('S-205 with 500 random route maps', () => {
  // A small generator with a fixed seed, so that a failure can be seen again.
  let seed = 20260501
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T
  const WORDS = ['a', 'b', 'c']
  const VALUES = ['a', 'b', '7', 'x-1', 'a%20b', '%61', '*', '..', '']
  const SCOPES = ['s', 't', 'u']

  function randomMap(): Record<string, RouteRule> {
    const map: Record<string, RouteRule> = {}
    const shapes = new Set<string>()
    for (let count = 1 + random(7); count > 0; count--) {
      const depth = 1 + random(4)
      const segments = Array.from({ length: depth }, (_, n) => {
        const kind = random(10)
        if (kind < 5) return pick(WORDS)
        return kind === 9 && n === depth - 1 ? `{p${n}+}` : `{p${n}}`
      })
      const name = `${pick(['GET', 'GET', 'POST', 'ANY'])} /${segments.join('/')}${random(12) === 0 && !segments.at(-1)?.endsWith('+}') ? '/' : ''}`
      if (shapes.has(name)) continue
      shapes.add(name)
      map[name] = random(8) === 0 ? 'public' : SCOPES.filter(() => random(3) === 0)
    }
    return map
  }
  const randomCall = (): Call => [
    pick(['GET', 'GET', 'POST', 'PUT']),
    `/${Array.from({ length: 1 + random(5) }, () => pick(VALUES)).join('/')}`,
  ]
  /** A call to a route, with parameters that look like nothing in any map. */
  const typical = (routes: RouteMap): Call => {
    const route = pick(routes)
    const path = route.segments.map(({ kind, text }) => (kind === 'literal' ? text : `v${random(90)}`)).join('/')
    return [route.method === 'ANY' ? pick(METHODS) : route.method, `/${path}`]
  }

  it('decides the call at hand as the table does, and never allows from a cache what the table denies on a route', () => {
    let typicalCalls = 0
    let refusedFromCache = 0
    for (let round = 0; round < 500; round++) {
      const map = randomMap()
      const { routes, decision, policy, mapped } = gate(map)
      const scopes = SCOPES.filter(() => random(2) === 0)
      for (let turn = 0; turn < 8; turn++) {
        const made = turn % 2 ? randomCall() : typical(routes)
        const cached = policy(made, scopes)
        const told = { map, scopes, made }
        const wild = /[*?]/.test(made[1])
        if (wild)
          expect({ ...told, wrong: passes(cached, made) && !decision(made, scopes) }).toEqual({ ...told, wrong: false })
        else expect({ ...told, passes: passes(cached, made) }).toEqual({ ...told, passes: decision(made, scopes) })
        for (let other = 0; other < 8; other++) {
          const call = other % 2 ? randomCall() : typical(routes)
          const allowed = decision(call, scopes)
          const wrong = mapped(call) && !allowed && passes(cached, call)
          expect({ ...told, call, wrong }).toEqual({ ...told, call, wrong: false })
          if (other % 2 || !allowed) continue
          typicalCalls++
          if (!passes(cached, call)) refusedFromCache++
        }
      }
    }
    // Where the wildcard language cannot tell two routes apart, a cache refuses too much, never too little.
    expect(typicalCalls).toBeGreaterThan(3000)
    expect(refusedFromCache / typicalCalls).toBeLessThan(0.03)
  })
})
