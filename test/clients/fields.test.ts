import { readClientFields, writeClientFields } from '../../src/clients/fields.ts'
import { formatPath } from '../../src/vocabulary/document.ts'

const shop = { id: 'shop', name: 'Corner Shop', kind: 'web', redirect_uris: ['https://shop.example.com/callback'] }
const billing = { id: 'billing', name: 'Billing', kind: 'service' }

function faultsOf(document: unknown): string[] {
  const reading = readClientFields(document)
  return reading.ok ? [] : reading.faults.map(({ path, text }) => `${formatPath(path)} ${text}`)
}

function read(document: unknown) {
  const reading = readClientFields(document)
  if (!reading.ok) throw new Error(JSON.stringify(reading.faults))
  return reading.value
}

describe('the document of a client', () => {
  it.each([
    ['web', 'client_secret_basic', 'session'],
    ['spa', 'none', 'session'],
    ['native', 'none', 'offline'],
    ['agent', 'client_secret_basic', 'offline'],
  ])('gives a %s client the defaults %s and refresh %s', (kind, authMethod, refresh) => {
    expect(read({ ...shop, kind })).toMatchObject({ authMethod, refresh, responseModes: ['query'], firstParty: false })
  })

  it('gives a service its defaults', () => {
    expect(read(billing)).toEqual({
      id: 'billing',
      name: 'Billing',
      kind: 'service',
      authMethod: 'client_secret_basic',
      firstParty: false,
      redirectUris: [],
      postLogoutRedirectUris: [],
      responseModes: ['query'],
      requirePar: false,
      dpop: 'optional',
      refresh: 'none',
      scopes: {},
      serves: [],
    })
  })

  it('is written as it is read', () => {
    const fields = read({
      ...shop,
      auth: 'private_key_jwt',
      jwks_uri: 'https://shop.example.com/jwks',
      first_party: true,
      post_logout_redirect_uris: ['https://shop.example.com/'],
      response_modes: ['form_post', 'query'],
      scopes: { 'https://orders.example.com': ['orders:read'] },
      serves: ['https://orders.example.com'],
    })
    expect(read(writeClientFields(fields))).toEqual(fields)
  })

  it('tells all faults at once, each with its path', () => {
    const faults = faultsOf({
      id: 'has space',
      kind: 'web',
      redirect_uri: ['https://shop.example.com'],
      redirect_uris: ['https://shop.example.com/cb', 'https://shop.example.com/cb', 'http://shop.example.com'],
      scopes: { 'https://orders.example.com': ['a b'] },
      refresh: 'always',
    })
    expect(faults).toEqual([
      'redirect_uri is not a field of a client; did you mean redirect_uris?',
      expect.stringMatching(/^id must be/),
      'name is missing',
      'refresh must be one of none, session, offline',
      expect.stringMatching(/^scopes\["https:\/\/orders\.example\.com"\]\[0\] is not a scope/),
      'redirect_uris[1] is named twice',
      expect.stringMatching(/^redirect_uris\[2\] must be https/),
    ])
  })

  it('does not tell a fault that only follows from another', () => {
    expect(faultsOf({ ...shop, redirect_uris: 'https://shop.example.com' })).toEqual(['redirect_uris must be a list'])
    expect(faultsOf({ ...shop, auth: 'private_key_jwt', jwks: { keys: [] } })).toEqual([
      'jwks.keys must have 1 to 20 keys',
    ])
    expect(faultsOf({ ...billing, kind: 'servise' })).toEqual([expect.stringMatching(/^kind must be one of web/)])
  })

  it.each([
    [{ ...shop, redirect_uris: [] }, /^redirect_uris needs at least one/],
    [{ ...shop, kind: 'native', redirect_uris: undefined }, /^redirect_uris needs at least one/],
    [{ ...shop, kind: 'spa', auth: 'client_secret_basic' }, /^auth must be none/],
    [{ ...shop, kind: 'native', auth: 'client_secret_post' }, /^auth must be none/],
    [{ ...shop, kind: 'spa', serves: ['https://orders.example.com'] }, /^serves needs a client with credentials/],
    [{ ...billing, auth: 'none' }, /^auth must not be none/],
    [{ ...billing, redirect_uris: ['https://a.example/'] }, /^redirect_uris is not for a service/],
    [
      { ...billing, post_logout_redirect_uris: ['https://a.example/'] },
      /^post_logout_redirect_uris is not for a service/,
    ],
    [{ ...billing, refresh: 'offline' }, /^refresh must be none/],
    [{ ...billing, auth: 'private_key_jwt' }, /^auth needs the client/],
    [{ ...billing, jwks_uri: 'http://a.example/jwks' }, /^jwks_uri must be an https URL/],
    [{ ...shop, response_modes: [] }, /^response_modes names no mode/],
    [{ ...shop, response_modes: ['web_message'] }, /^response_modes\[0\] must be one of/],
    [{ ...billing, client_secret: 'hunter2' }, /^client_secret is not a field/],
    [{ ...billing, id_token_signed_response_alg: 'HS256' }, /^id_token_signed_response_alg is not a field/],
    [{ ...shop, first_party: 'yes' }, /^first_party must be true or false/],
  ])('refuses %j', (document, why) => {
    expect(faultsOf(document)).toEqual([expect.stringMatching(why)])
  })

  it('S-079 refuses ids that could be those of people', () => {
    expect(faultsOf({ ...billing, id: 'usr_2fZk8hYQx1' })).toEqual([
      expect.stringMatching(/^id must not begin with usr_/),
    ])
    expect(faultsOf({ ...billing, id: 'our-usr_x' })).toEqual([])
  })

  it.each(['', 'a/b', 'a b', 'ä', 'a\u0000', 'x'.repeat(129), 'a:b', 'a%b'])('refuses the id %j', (id) => {
    expect(faultsOf({ ...billing, id })).toHaveLength(1)
  })

  it.each(['', ' ', 'Shop\u202Eerohs', 'Shop\u0007', 'Shop\u200B', 'Shop\nInc', 'x'.repeat(101)])(
    'S-154 refuses the name %j',
    (name) => {
      expect(faultsOf({ ...shop, name })).toEqual([expect.stringMatching(/^name /)])
    },
  )

  it.each(['Café Zürich', '株式会社', 'متجر', '👩‍💻 Tools', "Ada's <b>Shop</b>"])('accepts the name %s', (name) => {
    expect(faultsOf({ ...shop, name })).toEqual([])
  })
})
