import { readResourceFields, writeResourceFields } from '../../src/resources/fields.ts'
import { formatPath } from '../../src/vocabulary/document.ts'

const orders = {
  id: 'https://orders.example.com',
  name: 'Orders',
  tokens: { format: 'jwt', sign: 'RS256', lifetime: '5m' },
  scopes: { 'orders:write': { text: 'Place and cancel orders', risk: 'high' }, 'orders:read': 'See your orders' },
}

function faultsOf(document: unknown): string[] {
  const reading = readResourceFields(document)
  return reading.ok ? [] : reading.faults.map(({ path, text }) => `${formatPath(path)} ${text}`)
}

function read(document: unknown) {
  const reading = readResourceFields(document)
  if (!reading.ok) throw new Error(JSON.stringify(reading.faults))
  return reading.value
}

describe('the document of a resource', () => {
  it('is read with its scopes in order; what is risky is not given by default', () => {
    expect(read(orders)).toEqual({
      id: 'https://orders.example.com',
      name: 'Orders',
      format: 'jwt',
      sign: 'RS256',
      lifetime: 300,
      scopes: [
        { name: 'orders:write', text: 'Place and cancel orders', risk: 'high', byDefault: false },
        { name: 'orders:read', text: 'See your orders', risk: 'normal', byDefault: true },
      ],
    })
  })

  it('has defaults: JWT, ES256, ten minutes, no scopes', () => {
    expect(read({ id: 'urn:example:orders', name: 'Orders' })).toEqual({
      id: 'urn:example:orders',
      name: 'Orders',
      format: 'jwt',
      sign: 'ES256',
      lifetime: 600,
      scopes: [],
    })
  })

  it('is written as it is read', () => {
    const scopes = { a: { text: 'A', risk: 'high', default: true }, b: { text: 'B', risk: 'low', default: false } }
    const resource = read({ ...orders, scopes, tokens: { format: 'opaque', lifetime: '90s' } })
    expect(read(writeResourceFields(resource))).toEqual(resource)
  })

  it('tells all faults at once, each with its path', () => {
    const faults = faultsOf({
      id: 'orders',
      tokens: { format: 'jwe', sign: 'HS256', lifetime: 600, encrypt: {} },
      scope: {},
      scopes: { openid: 'Log in', 'a b': 'A', c: { text: 'C', risk: 'hihg' }, d: null, e: { risk: 'low' }, f: '' },
    })
    expect(faults).toEqual([
      'scope is not a field of a resource; did you mean scopes?',
      'id must be an absolute URI like https://orders.example.com',
      'name is missing',
      'tokens.encrypt is not a field of tokens',
      'tokens.format jwe is not in this version yet; use jwt or opaque',
      'tokens.sign HS256 is not in this version yet; use ES256 or RS256',
      'tokens.lifetime must have a unit: 600s, or minutes (m), hours (h), days (d)',
      'scopes.openid is a scope of OpenID Connect, which a resource cannot define',
      expect.stringMatching(/^scopes\["a b"\] is not a scope/),
      'scopes.c.risk must be one of low, normal, high',
      'scopes.d must be words for the consent page, or { text, risk, default }',
      'scopes.e.text is missing',
      'scopes.f is empty',
    ])
  })

  it.each([
    [{ format: 'jwt', lifetime: '16m' }, /^tokens.lifetime is longer than 15m/],
    [{ format: 'opaque', lifetime: '2d' }, /^tokens.lifetime is longer than 24h/],
    [{ lifetime: 'soon' }, /^tokens.lifetime must be a whole number and a unit/],
    [{ sign: 'none' }, /^tokens.sign must be one of ES256, RS256/],
    ['jwt', /^tokens must be tokens/],
  ])('refuses tokens %j', (tokens, why) => {
    expect(faultsOf({ ...orders, tokens })).toEqual([expect.stringMatching(why)])
  })

  it.each([{ format: 'jwt', lifetime: '15m' }, { format: 'opaque', lifetime: '24h' }, { lifetime: '1s' }])(
    'accepts tokens %j',
    (tokens) => {
      expect(faultsOf({ ...orders, tokens })).toEqual([])
    },
  )

  it.each([
    'https://orders.example.com#x',
    'http://orders.example.com',
    'https://ada:pw@orders.example.com',
    '/orders',
    'ftp://orders.example.com',
    'javascript:alert(1)',
    'https:orders.example.com',
    'https://orders.example.com/a b',
    5,
  ])('S-041 refuses the resource indicator %j', (id) => {
    expect(faultsOf({ ...orders, id })).toEqual([expect.stringMatching(/^id /)])
  })

  it.each(['https://orders.example.com/v1?x=y', 'http://localhost:3000/demo/orders', 'urn:example:orders'])(
    'accepts the resource indicator %s',
    (id) => {
      expect(faultsOf({ ...orders, id })).toEqual([])
    },
  )
})
