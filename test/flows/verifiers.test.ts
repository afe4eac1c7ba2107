// Our JWTs before verifiers that others wrote, and forged ones before the server and the authorizer.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { createVerifier } from 'fast-jwt'
import { createRemoteJWKSet, importJWK, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { createHandler } from '../../src/authorizer/handler.ts'
import { routeMapOf } from '../../src/vocabulary/route-map.ts'
import { basic, introspect, obtainTokens, post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'

const RSA_ORDERS = 'https://rsa-orders.example.com'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addResource({
    id: RSA_ORDERS,
    sign: 'RS256',
    scopes: [{ name: 'rsa:read', text: 'Read', risk: 'normal', byDefault: true }],
  })
  await server
    .addClient({
      id: 'rsa-service',
      kind: 'service',
      redirectUris: [],
      refresh: 'none',
      scopes: { [RSA_ORDERS]: ['rsa:read'] },
    })
    .then((secret) => {
      rsaSecret = secret
    })
})
afterAll(() => server.stop())
let rsaSecret = ''

const machineToken = async (id: string, secret: string) =>
  (await post(server, '/token', { grant_type: 'client_credentials' }, { id, secret })).body.access_token

it.each(['ES256', 'RS256'] as const)(
  'access tokens signed with %s are accepted by jose and by fast-jwt',
  async (alg) => {
    const [token, audience] =
      alg === 'ES256'
        ? [await machineToken('billing', cast.billing), ORDERS]
        : [await machineToken('rsa-service', rsaSecret), RSA_ORDERS]
    const jwks = createRemoteJWKSet(new URL(`${server.issuer}/jwks`))
    const { payload, protectedHeader } = await jwtVerify(token, jwks, {
      issuer: server.issuer,
      audience,
      typ: 'at+jwt',
      algorithms: [alg],
    })
    expect(protectedHeader.alg).toBe(alg)

    const verify = createVerifier({
      key: await publishedPem(alg),
      algorithms: [alg],
      allowedIss: server.issuer,
      allowedAud: audience,
    })
    expect(verify(token)).toMatchObject({ sub: payload.sub, jti: payload.jti })
  },
)

it('ID tokens are accepted by jose and by fast-jwt', async () => {
  const { body } = await obtainTokens(server, { id: 'shop', secret: cast.shop })
  const jwks = createRemoteJWKSet(new URL(`${server.issuer}/jwks`))
  const { payload } = await jwtVerify(body.id_token, jwks, { issuer: server.issuer, audience: 'shop' })
  const verify = createVerifier({
    key: await publishedPem('RS256'),
    algorithms: ['RS256'],
    allowedIss: server.issuer,
    allowedAud: 'shop',
  })
  expect(verify(body.id_token)).toMatchObject({ sub: payload.sub })
})

async function publishedPem(alg: string): Promise<string> {
  const published = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: { alg: string }[] }
  const jwk = published.keys.find((key) => key.alg === alg)!
  return createPublicKey({ key: jwk as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string
}

describe('forged', () => {
  type Forge = (real: { claims: JWTPayload; token: string }) => Promise<string> | string

  const signed = async (
    claims: JWTPayload,
    header: Record<string, unknown> = {},
    key?: Parameters<SignJWT['sign']>[0],
  ) => {
    const own = server.rooms.signingKeys.held().find(({ alg }) => alg === 'ES256')!
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: own.kid, ...header })
      .sign(key ?? (await importJWK(own.privateJwk, 'ES256')))
  }
  const now = () => Math.floor(Date.now() / 1000)
  const parts = (token: string) => token.split('.') as [string, string, string]
  const recode = (part: string, change: object) =>
    Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(part, 'base64url').toString()), ...change })).toString(
      'base64url',
    )

  const forgeries: [string, Forge][] = [
    [
      'tampered claims',
      ({ token }) => {
        const [h, p, s] = parts(token)
        return `${h}.${recode(p, { scope: 'orders:read orders:write' })}.${s}`
      },
    ],
    [
      'tampered signature',
      ({ token }) => {
        const [h, p, s] = parts(token)
        return `${h}.${p}.${s.startsWith('A') ? 'B' : 'A'}${s.slice(1)}`
      },
    ],
    ['expired', ({ claims }) => signed({ ...claims, iat: now() - 700, exp: now() - 60 })],
    ['without exp', ({ claims: { exp: _, ...rest } }) => signed(rest)],
    ['wrong issuer', ({ claims }) => signed({ ...claims, iss: 'https://evil.example' })],
    ['ID token type', ({ claims }) => signed(claims, { typ: 'JWT' })],
    [
      'alg none',
      ({ token }) => {
        const [h, p] = parts(token)
        return `${recode(h, { alg: 'none' })}.${p}.`
      },
    ],
    [
      'alg swapped to HS256 with the public key',
      async ({ claims }) => {
        const own = server.rooms.signingKeys.held().find(({ alg }) => alg === 'ES256')!
        return signed(claims, { alg: 'HS256' }, new TextEncoder().encode(JSON.stringify(own.publicJwk)))
      },
    ],
    [
      'signed by another key under our kid',
      ({ claims }) => signed(claims, {}, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    ],
    [
      'key in the header',
      ({ claims }) => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
        return signed(claims, { jwk: publicKey.export({ format: 'jwk' }), kid: undefined }, privateKey)
      },
    ],
  ]

  it.each(forgeries)('%s: refused by introspection, userinfo and authorizer alike', async (_name, forge) => {
    const { body } = await obtainTokens(server, { id: 'shop', secret: cast.shop }, { scope: 'openid orders:read' })
    const claims = JSON.parse(Buffer.from(parts(body.access_token)[1], 'base64url').toString())
    await expectVerdict(body.access_token, true)
    await expectVerdict(await forge({ claims, token: body.access_token }), false)
  })

  it('S-073 clocks may differ by 8 s, not by 61 s, before introspection, userinfo and authorizer alike', async () => {
    const { body } = await obtainTokens(server, { id: 'shop', secret: cast.shop }, { scope: 'openid orders:read' })
    const claims = JSON.parse(Buffer.from(parts(body.access_token)[1], 'base64url').toString())
    await expectVerdict(await signed({ ...claims, iat: now() + 8 }), true)
    await expectVerdict(await signed({ ...claims, nbf: now() + 8 }), true)
    await expectVerdict(await signed({ ...claims, iat: now() + 61 }), false)
    await expectVerdict(await signed({ ...claims, nbf: now() + 61 }), false)
  })

  it('wrong audience: refused by the authorizer, and by introspection to whoever does not serve it', async () => {
    const token = await machineToken('rsa-service', rsaSecret)
    expect(await authorizerSays(token)).toBe('Unauthorized')
    expect(await introspect(server, { id: 'orders-api', secret: cast.api }, token)).toEqual({ active: false })
  })

  async function expectVerdict(token: string, good: boolean): Promise<void> {
    const introspection = await introspect(server, { id: 'orders-api', secret: cast.api }, token)
    expect(introspection.active).toBe(good)
    const userinfo = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
    expect(userinfo.status).toBe(good ? 200 : 401)
    expect(await authorizerSays(token)).toBe(good ? 'Allow' : 'Unauthorized')
  }

  async function authorizerSays(token: string): Promise<string> {
    const handler = createHandler(
      { issuer: server.issuer, audience: ORDERS, routes: routeMapOf({ 'GET /orders': ['orders:read'] }) },
      { log: () => undefined },
    )
    const answer = await handler({
      type: 'REQUEST',
      methodArn: 'arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/prod/GET/orders',
      resource: '/orders',
      path: '/orders',
      httpMethod: 'GET',
      headers: { Authorization: `Bearer ${token}` },
      multiValueHeaders: { Authorization: [`Bearer ${token}`] },
      queryStringParameters: {},
      pathParameters: {},
      stageVariables: {},
      requestContext: {
        apiId: 'abcdef1234',
        stage: 'prod',
        httpMethod: 'GET',
        path: '/prod/orders',
        resourcePath: '/orders',
      },
    }).catch((error: Error) => error.message)
    return typeof answer === 'string'
      ? answer
      : (answer as { policyDocument: { Statement: { Effect: string }[] } }).policyDocument.Statement[0]!.Effect
  }
})

it('the API is told the same as the client itself', async () => {
  const token = await machineToken('billing', cast.billing)
  const seen = await Promise.all(
    [basic('billing', cast.billing), basic('orders-api', cast.api)].map(async (headers) =>
      (
        await fetch(`${server.issuer}/introspect`, { method: 'POST', headers, body: new URLSearchParams({ token }) })
      ).json(),
    ),
  )
  expect(seen[0]).toEqual(seen[1])
  expect(await introspect(server, { id: 'other-api', secret: cast.stranger }, token)).toEqual({ active: false })
})
