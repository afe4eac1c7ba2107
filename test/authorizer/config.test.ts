import { type AuthorizerSettings, readSettings } from '../../src/authorizer/config.ts'
import { createHandler } from '../../src/authorizer/handler.ts'
import { OperatorFault } from '../../src/vocabulary/fault.ts'
import { sampleIssuer } from '../helpers/access-tokens.ts'

const { jwks } = await sampleIssuer()
const good = {
  GATEHOUSE_ISSUER: 'https://id.example.com',
  GATEHOUSE_AUDIENCE: 'https://orders.example.com',
  GATEHOUSE_ROUTES: '{ "GET /orders": ["orders:read"] }',
}
const files: Record<string, string> = {
  'routes.json': '{ "GET /files": [] }',
  'keys.json': JSON.stringify(jwks),
  'broken.json': '{',
}
const read = (env: Record<string, string | undefined>) =>
  readSettings({
    env,
    readFile(name) {
      const text = files[name]
      if (text === undefined) throw new Error(`no such file, ${name}`)
      return text
    },
  })
const faultOf = (env: Record<string, string | undefined>) => {
  try {
    read(env)
  } catch (error) {
    expect(error).toBeInstanceOf(OperatorFault)
    return (error as Error).message
  }
  throw new Error('started')
}

describe('readSettings', () => {
  it('reads JSON and files beside the program', () => {
    expect(read(good)).toMatchObject({
      issuer: good.GATEHOUSE_ISSUER,
      routes: [{ name: 'GET /orders' }],
      httpUnauthorized: 'deny',
    })
    const fromFiles = read({
      ...good,
      GATEHOUSE_ROUTES: 'routes.json',
      GATEHOUSE_JWKS: 'keys.json',
      GATEHOUSE_HTTP_UNAUTHORIZED: 'throw',
    })
    expect(fromFiles).toMatchObject({ routes: [{ name: 'GET /files' }], jwks, httpUnauthorized: 'throw' })
  })

  it('S-204 does not start without issuer, audience or routes, and tells everything at once', () => {
    const text = faultOf({})
    expect(text.match(/^- GATEHOUSE_\w+ is missing/gm)).toEqual([
      '- GATEHOUSE_ISSUER is missing',
      '- GATEHOUSE_AUDIENCE is missing',
      '- GATEHOUSE_ROUTES is missing',
    ])
  })

  it.each([
    ['GATEHOUSE_ISSUER', 'http://id.example.com', 'must be https'],
    ['GATEHOUSE_AUDIENCE', 'a b', 'without spaces'],
    ['GATEHOUSE_ROUTES', 'nowhere.json', 'no such file'],
    ['GATEHOUSE_ROUTES', 'broken.json', 'cannot be read as JSON'],
    ['GATEHOUSE_ROUTES', '{ "GET orders": [] }', '"GET orders" must be'],
    ['GATEHOUSE_JWKS', '{ "keys": [] }', 'empty'],
    ['GATEHOUSE_JWKS', '{ "keys": [{ "kty": "oct", "k": "AAAA" }] }', 'not public'],
    ['GATEHOUSE_JWKS', '[]', 'not a set of public keys'],
    ['GATEHOUSE_HTTP_UNAUTHORIZED', 'sometimes', 'deny or throw'],
  ])('refuses %s=%s', (name, value, words) => {
    const text = faultOf({ ...good, [name]: value })
    expect(text).toContain(`- ${name} `)
    expect(text).toContain(words)
  })

  it('tells every fault of a route map', () => {
    expect(faultOf({ ...good, GATEHOUSE_ROUTES: '{ "GET a": [], "GET /b": "x" }' }).match(/^- /gm)).toHaveLength(2)
  })
})

it('createHandler is not built from what readSettings refuses', () => {
  const settings: AuthorizerSettings = read(good)
  for (const audience of ['', null, undefined]) {
    expect(() => createHandler({ ...settings, audience: audience as string })).toThrow('audience')
  }
  expect(() => createHandler({ ...settings, issuer: '' })).toThrow()
  expect(() => createHandler({ ...settings, issuer: 'http://id.example.com' })).toThrow('https')
  expect(() => createHandler({ ...settings, jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } })).toThrow('not public')
})

it('declares fewer than three parameters, or Lambda refuses it', () => {
  expect(createHandler(read(good))).toHaveLength(1)
})
