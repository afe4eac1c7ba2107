// JWTs that anybody can write: what is in them is looked up before a signature is verified, or with a key of the sender's own. No
// text in them is a fault of ours (SECURITY S-010).
import { basic } from '../helpers/flow.ts'
import { createProver } from '../helpers/prover.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'
import { createSigner, type Signer } from '../helpers/signer.ts'

const VALUES: unknown[] = [
  ...['a\0b', 'shop\0', '\ud800', '\u202e', '__proto__', '', 'x'.repeat(4000), '9999.aaaaaaaaaaaaaaaaaaaaaaaa', '%00'],
  ...[-1, 1e308, null, [], {}, ['a\0b'], ['shop'], { x: '\0' }],
]
const CLAIMS = ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'client_id', 'gid', 'fid', 'epoch', 'sid']
const HEADERS = ['kid', 'alg', 'typ', 'crit', 'jwk', 'jku', 'b64', 'enc', 'zip']

let server: TestServer
let signer: Signer
let shop: Record<string, string>

beforeAll(async () => {
  server = await startTestServer()
  shop = basic('shop', (await addCast(server)).shop)
  signer = await createSigner(server.issuer, 'signs')
  const { scopes } = (await server.rooms.clients.find('shop'))!
  await server.addClient({ id: 'signs', authMethod: 'private_key_jwt', jwks: signer.jwks as never, scopes })
})
afterAll(() => server.stop())

const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
const unsigned = (header: object, claims: unknown) => `${encode(header)}.${encode(claims)}.AAAA`

/** Every value in the place of every claim, and of every member of the header. */
function* tokens(typ: string, alg: string): Generator<[string, string]> {
  const claims = { iss: server.issuer, sub: 'shop', aud: 'shop', exp: 4e9, iat: 1, jti: 'a', client_id: 'shop' }
  for (const value of VALUES) {
    for (const name of CLAIMS)
      yield [`${name} ${JSON.stringify(value)}`.slice(0, 60), unsigned({ alg, typ }, { ...claims, [name]: value })]
    for (const name of HEADERS)
      yield [`${name} ${JSON.stringify(value)}`.slice(0, 60), unsigned({ alg, typ, [name]: value }, claims)]
  }
  for (const [what, all] of Object.entries({ nothing: null, list: [], text: 'x', number: 1 }))
    yield [what, unsigned({ alg, typ }, all)]
}

async function ask(path: string, init: RequestInit & { form?: Record<string, string> } = {}): Promise<number> {
  const { form, ...rest } = init
  const answer = await fetch(`${server.issuer}${path}`, {
    redirect: 'manual',
    ...rest,
    ...(form && { method: 'POST', body: new URLSearchParams(form) }),
  })
  await answer.arrayBuffer()
  return answer.status
}

/** @returns what was answered as a fault of ours */
async function faults(all: Iterable<[string, string]>, send: (token: string) => Promise<number>): Promise<unknown[]> {
  const found: unknown[] = []
  const list = [...all]
  for (let at = 0; at < list.length; at += 20) {
    const some = list.slice(at, at + 20)
    const statuses = await Promise.all(some.map(([, token]) => send(token)))
    statuses.forEach((status, index) => {
      if (status >= 500) found.push([some[index]![0], status])
    })
  }
  return found
}

const GRANT = { grant_type: 'client_credentials' }
const assertion = (client_assertion: string) => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion,
})

describe('S-010 hostile JWTs', () => {
  it.each<[string, string, string, (token: string) => Promise<number>]>([
    ['an assertion at /token', 'JWT', 'ES256', (one) => ask('/token', { form: { ...GRANT, ...assertion(one) } })],
    ['an assertion at /par', 'JWT', 'ES256', (one) => ask('/par', { form: { ...assertion(one) } })],
    [
      'an assertion at /introspect',
      'JWT',
      'HS256',
      (one) => ask('/introspect', { form: { token: 'x', ...assertion(one) } }),
    ],
    ['a hint at /logout', 'JWT', 'RS256', (one) => ask(`/logout?id_token_hint=${one}`)],
    ['a hint at /authorize', 'JWT', 'RS256', (one) => ask(`/authorize?client_id=shop&id_token_hint=${one}`)],
    [
      'a token at /userinfo',
      'at+jwt',
      'ES256',
      (one) => ask('/userinfo', { headers: { authorization: `Bearer ${one}` } }),
    ],
    ['a token at /introspect', 'at+jwt', 'ES256', (token) => ask('/introspect', { form: { token }, headers: shop })],
    ['a proof at /token', 'dpop+jwt', 'ES256', (dpop) => ask('/token', { form: GRANT, headers: { ...shop, dpop } })],
    [
      'a request object at /authorize',
      'oauth-authz-req+jwt',
      'ES256',
      (request) => ask(`/authorize?${new URLSearchParams({ client_id: 'shop', request })}`),
    ],
  ])('%s', async (_what, typ, alg, send) => {
    expect(await faults(tokens(typ, alg), send)).toEqual([])
  })

  it('an assertion that its client has signed', async () => {
    const found: unknown[] = []
    for (const value of VALUES)
      for (const name of CLAIMS) {
        const form = { ...GRANT, ...(await signer.assert({ [name]: value } as never)) }
        const status = await ask('/token', { form })
        if (status >= 500) found.push([name, value, status])
      }
    expect(found).toEqual([])
  })

  it('a proof that its sender has signed', async () => {
    const prover = await createProver()
    const found: unknown[] = []
    for (const value of VALUES)
      for (const name of ['htm', 'htu', 'iat', 'jti', 'nonce', 'ath']) {
        const dpop = await prover.prove('POST', `${server.issuer}/token`, { [name]: value } as never)
        const status = await ask('/token', { form: GRANT, headers: { ...shop, dpop } })
        if (status >= 500) found.push([name, value, status])
      }
    expect(found).toEqual([])
  })

  it('a cookie of ours, with its signature or without', async () => {
    const found: unknown[] = []
    for (const value of VALUES.filter((one) => typeof one === 'string' && one.length < 100) as string[])
      for (const name of ['session', 'session.sig', 'interaction', 'resume', 'form', 'device'])
        for (const signed of [false, true]) {
          const text = encodeURIComponent(value.toWellFormed())
          const full = `gatehouse-${name}=${text}`
          const cookie = signed ? `${full}; gatehouse-${name}.sig=${server.rooms.cookieSigner.sign(full)}` : full
          for (const path of ['/authorize?client_id=shop', '/interaction/x']) {
            const status = await ask(path, { headers: { cookie } })
            if (status >= 500) found.push([path, name, signed, value, status])
          }
        }
    expect(found).toEqual([])
  })
})
