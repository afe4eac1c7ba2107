import { matchRoute } from '../../src/vocabulary/match-route.ts'
import { readRouteMap, routeMapOf } from '../../src/vocabulary/route-map.ts'

const routes = routeMapOf({
  'ANY /{proxy+}': ['all'],
  'GET /orders': ['orders:read'],
  'POST /orders': ['orders:write'],
  'ANY /orders': ['orders:any'],
  'GET /orders/': ['orders:slash'],
  'GET /orders/{id}': ['orders:read'],
  'GET /orders/export': ['orders:export'],
  'GET /orders/{id}/items/{item}': ['orders:read', 'items:read'],
  'GET /orders/export/{rest+}': ['orders:export'],
  'GET /files/{rest+}': ['files:read'],
  'GET /health': 'public',
  'GET /': [],
})

function found(method: string, path: string) {
  const match = matchRoute(routes, method, path)
  return match && [match.route.name, match.parameters]
}

describe('matchRoute', () => {
  it.each([
    ['GET', '/', 'GET /', {}],
    ['GET', '/orders', 'GET /orders', {}],
    ['POST', '/orders', 'POST /orders', {}],
    ['PUT', '/orders', 'ANY /orders', {}],
    ['HEAD', '/orders', 'ANY /orders', {}],
    ['GET', '/orders/', 'GET /orders/', {}],
    ['GET', '/orders/7', 'GET /orders/{id}', { id: '7' }],
    ['GET', '/orders/export', 'GET /orders/export', {}],
    ['GET', '/orders/%65xport', 'GET /orders/export', {}],
    ['GET', '/orders/export/a/b', 'GET /orders/export/{rest+}', { rest: 'a/b' }],
    ['GET', '/orders/7/items/a%20b', 'GET /orders/{id}/items/{item}', { id: '7', item: 'a b' }],
    ['GET', '/orders/7/other', 'ANY /{proxy+}', { proxy: 'orders/7/other' }],
    ['GET', '/files/a', 'GET /files/{rest+}', { rest: 'a' }],
    ['GET', '/files/a/b/', 'GET /files/{rest+}', { rest: 'a/b/' }],
    ['GET', '/files', 'ANY /{proxy+}', { proxy: 'files' }],
    ['POST', '/orders/7', 'ANY /{proxy+}', { proxy: 'orders/7' }],
  ])('%s %s is %s', (method, path, name, parameters) => {
    expect(found(method, path)).toEqual([name, parameters])
  })

  it('never makes a segment of an encoded slash, and decodes once', () => {
    expect(found('GET', '/orders/7%2Fitems%2F8')).toEqual(['GET /orders/{id}', { id: '7/items/8' }])
    expect(found('GET', '/orders/%2565xport')).toEqual(['GET /orders/{id}', { id: '%65xport' }])
  })

  it.each([
    '',
    'orders',
    'http://evil.example/orders',
    '//orders',
    '/orders//items',
    '/orders/../health',
    '/orders/%2e%2e',
    '/orders/.',
    '/orders/%',
    '/orders/%zz',
    '/orders/%C3',
    '/orders/%00',
    '/orders/a\u0000',
    '/orders?x=1',
    '/health#x',
    '/orders\\7',
  ])('fits no route: %j', (path) => {
    expect(found('GET', path)).toBeUndefined()
  })

  it('compares methods exactly', () => {
    expect(found('get', '/orders')).toEqual(['ANY /orders', {}])
    expect(matchRoute(routeMapOf({ 'GET /a': [] }), 'get', '/a')).toBeUndefined()
    expect(matchRoute(routeMapOf({ 'GET /a': [] }), 'HEAD', '/a')).toBeUndefined()
  })

  it('prefers the most specific route in whatever order the map is written', () => {
    const names = [
      'ANY /{x+}',
      'GET /{x+}',
      'GET /a',
      'GET /a/{y}',
      'GET /{x}/b',
      'GET /a/b',
      'GET /a/{y+}',
      'GET /{x}/{y}',
      'GET /a/{y}/c',
    ]
    const expected: Record<string, string> = {
      '/a/b': 'GET /a/b',
      '/a/z': 'GET /a/{y}',
      '/z/b': 'GET /{x}/b',
      '/z/z': 'GET /{x}/{y}',
      '/a/z/c': 'GET /a/{y}/c',
      '/a/z/d': 'GET /a/{y+}',
      '/z/z/z': 'GET /{x+}',
      '/a': 'GET /a',
    }
    for (let turn = 0; turn < names.length; turn++) {
      names.push(names.shift() as string)
      for (const order of [names, names.toReversed()]) {
        const map = routeMapOf(Object.fromEntries(order.map((name) => [name, []])))
        for (const [path, name] of Object.entries(expected)) expect(matchRoute(map, 'GET', path)?.route.name).toBe(name)
      }
    }
  })
})

describe('readRouteMap', () => {
  it('tells every fault at once, each with its path', () => {
    const read = readRouteMap({
      'get /orders': [],
      'FETCH /orders': [],
      'GET orders': [],
      'GET  /orders': [],
      'GET /a//b': [],
      'GET /a/../b': [],
      'GET /{a}/{a}': [],
      'GET /{a+}/b': [],
      'GET /x*': [],
      'GET /pre{a}': [],
      'GET /a%20b': [],
      'GET /scopes': ['fine', 'two words', 7],
      'GET /rule': 'private',
      'GET /twin/{a}': [],
      'GET /twin/{b}': [],
    })
    expect(read.ok || read.faults.map(({ path }) => path)).toEqual([
      'get /orders',
      'FETCH /orders',
      'GET orders',
      'GET  /orders',
      'GET /a//b',
      'GET /a/../b',
      'GET /{a}/{a}',
      'GET /{a+}/b',
      'GET /x*',
      'GET /pre{a}',
      'GET /a%20b',
      'GET /scopes[1]',
      'GET /scopes[2]',
      'GET /rule',
      'GET /twin/{b}',
    ])
    expect(read.ok || read.faults.at(-1)?.message).toContain('"GET /twin/{a}"')
  })

  it.each([null, undefined, 'text', 7, [], [{}]])('refuses %j as a document', (document) => {
    expect(readRouteMap(document)).toMatchObject({ ok: false, faults: [{ path: '' }] })
  })

  it('throws for a constant that is wrong', () => {
    expect(() => routeMapOf({ 'GET x': [], 'GET y': [] })).toThrow(/GET x: .*\nGET y: /)
  })
})
