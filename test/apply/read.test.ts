import { emailKey, isEmail } from '../../src/accounts/email.ts'
import { readDocument } from '../../src/apply/read.ts'
import { readUserFields } from '../../src/apply/user-fields.ts'
import { readClientFields } from '../../src/clients/fields.ts'
import { readResourceFields } from '../../src/resources/fields.ts'
import { formatPath } from '../../src/vocabulary/document.ts'
import { SAMPLE } from './sample.ts'

const registered = {
  id: 'https://known.example.com',
  name: 'Known',
  format: 'jwt',
  sign: 'ES256',
  lifetime: 600,
  scopes: [{ name: 'known:read', text: 'Read', risk: 'low', byDefault: true }],
} as const

const parts = {
  readResource: readResourceFields,
  readClient: readClientFields,
  readUser: (document: unknown) => readUserFields({ isEmail }, document),
  emailKey,
  registered: [registered],
}

function faultsOf(text: string): string[] {
  const reading = readDocument(parts, text)
  if (reading.ok) return []
  return reading.faults.map((fault) => `${fault.line}: ${formatPath(fault.path)} ${fault.text}`)
}

describe('a document', () => {
  it('is read with defaults filled in', () => {
    const reading = readDocument(parts, SAMPLE)
    if (!reading.ok) throw new Error(JSON.stringify(reading.faults))
    expect(reading.document.resources.map(({ id }) => id)).toEqual(['https://orders.example.com'])
    expect(reading.document.clients.map(({ id, authMethod }) => [id, authMethod])).toEqual([
      ['billing', 'client_secret_basic'],
      ['shop', 'client_secret_basic'],
      ['orders-api', 'client_secret_basic'],
    ])
    expect(reading.document.users).toEqual([{ email: 'ada@example.com', name: 'Ada Lovelace' }])
  })

  it('may be JSON, may name one kind of thing only, and may leave a list empty', () => {
    expect(faultsOf('{"users": [{"email": "ada@example.com"}]}')).toEqual([])
    expect(faultsOf('clients:\nusers: []\n')).toEqual([])
  })

  it('tells every fault with its path and line, in the order of the document', () => {
    const faults = faultsOf(`resources:
  - id: https://orders.example.com
    name: Orders
    tokens: { lifetime: 1h }
    scopes:
      orders:read: See your orders
clients:
  - id: shop
    name: Corner Shop
    kind: webb
    redirect_uri: https://shop.example.com/callback
  - id: shop
    name: Again
    kind: service
    scopes:
      https://orders.example.com:
        - orders:read
        - orders:raed
      https://order.example.com: [x]
    serves: [https://known.example.com, urn:nowhere]
users:
  - name: Nobody
  - email: ada@example.com
  - email: ADA@example.com
user: []
`)
    expect(faults).toEqual([
      expect.stringMatching(/^4: resources\[0\]\.tokens\.lifetime is longer than 15m/),
      expect.stringMatching(/^10: clients\[0\]\.kind must be one of web/),
      '11: clients[0].redirect_uri is not a field of a client; did you mean redirect_uris?',
      '12: clients[1] is named twice: clients[0] is "shop" too',
      '18: clients[1].scopes["https://orders.example.com"][1] "orders:raed" is not a scope of https://orders.example.com; did you mean orders:read?',
      '19: clients[1].scopes["https://order.example.com"] names a resource that does not exist; did you mean https://orders.example.com?',
      '20: clients[1].serves[1] names a resource that does not exist ("urn:nowhere")',
      '22: users[0].email is missing',
      '24: users[2] is named twice: users[1] is "ada@example.com" too',
      '25: user is not a field of the document; did you mean users?',
    ])
  })

  it('does not tell a fault of a resource again where clients name it', () => {
    const faults = faultsOf(`resources:
  - id: http://orders.example.com
    name: Orders
    scopes: [orders:read]
clients:
  - { id: a, name: A, kind: service, scopes: { http://orders.example.com: [orders:read] } }
`)
    expect(faults.map((fault) => fault.slice(0, 20))).toEqual(['2: resources[0].id m', '4: resources[0].scop'])
  })

  it('may name resources that are registered, and says that OpenID scopes need no entry', () => {
    const text = (scope: string) =>
      `clients: [{ id: a, name: A, kind: service, scopes: { https://known.example.com: [${scope}] } }]`
    expect(faultsOf(text('known:read'))).toEqual([])
    expect(faultsOf(text('openid'))).toEqual([expect.stringMatching(/openid needs no entry/)])
  })

  it.each([
    ['', /^undefined: {2}is empty/],
    ['# nothing\n', /is empty/],
    ['- a\n', /^1: {2}must be the document/],
    ['just text', /must be the document/],
    ['clients: web', /^1: clients must be a list/],
    ['clients: [5]', /clients\[0\] must be a client/],
    ['clients: [', /is not YAML/],
    ['clients: []\nclients: []\n', /^2: {2}is not YAML: Map keys must be unique/],
    ['a: &x [1]\nb: *y\n', /cannot be read: Unresolved alias/],
    ['---\nusers: []\n---\nusers: []\n', /is not YAML/],
    ['users: !!js/function "x"\n', /is not YAML/],
    ['? [a]\n: b\n', /is not YAML/],
    ['x'.repeat(1_000_001), /has more than 1000000 characters/],
  ])('refuses %j', (text, why) => {
    expect(faultsOf(text)[0]).toMatch(why)
  })

  it('refuses a document that unfolds without end, or is nested without end, quickly', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
    for (const [one, next] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi'])
      bomb.push(`${next}: &${next} [${`*${one},`.repeat(9)}]`)
    const began = performance.now()
    expect(faultsOf(bomb.join('\n'))).toEqual([expect.stringMatching(/alias/)])
    expect(faultsOf(`users: ${'['.repeat(200_000)}`)).not.toEqual([])
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  it('is not fooled by fields of a prototype', () => {
    expect(faultsOf('__proto__: { users: [] }\n')).toEqual([expect.stringMatching(/__proto__ is not a field/)])
    expect(faultsOf('clients: [{ __proto__: { id: a }, name: A, kind: service }]')).toEqual([
      expect.stringMatching(/__proto__ is not a field/),
      expect.stringMatching(/id is missing/),
    ])
  })
})
