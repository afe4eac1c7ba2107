// Sample keys and tokens, good and mutated: one table that every test of a verifier reads.
import { createHmac, createPublicKey, randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose'

export const ISSUER = 'https://id.example.com'
export const AUDIENCE = 'https://orders.example.com'

export interface TokenChanges {
  /** undefined removes a claim */
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
  readonly alg?: 'RS256' | 'ES256'
  readonly key?: CryptoKey
}

interface Pair {
  publicKey: CryptoKey
  privateKey: CryptoKey
}

/** An issuer with one ES256 and one RS256 key, and a way to sign whatever a test wants to see refused. */
export async function sampleIssuer({ now = () => new Date(), issuer = ISSUER, audience = AUDIENCE } = {}) {
  const pairs: Record<string, Pair> = {
    ES256: await generateKeyPair('ES256', { extractable: true }),
    RS256: await generateKeyPair('RS256', { extractable: true }),
  }
  const keys = await Promise.all(
    Object.entries(pairs).map(async ([alg, { publicKey }]) => ({
      ...(await exportJWK(publicKey)),
      kid: `sample-${alg}`,
      alg,
      use: 'sig',
    })),
  )
  const sign = ({ claims = {}, header = {}, alg = 'ES256', key }: TokenChanges = {}) => {
    const at = Math.floor(now().getTime() / 1000)
    const payload = {
      iss: issuer,
      aud: audience,
      sub: 'ada',
      client_id: 'shop',
      jti: randomUUID(),
      iat: at,
      exp: at + 600,
      scope: 'orders:read',
      ...claims,
    }
    return new SignJWT(payload)
      .setProtectedHeader({ alg, typ: 'at+jwt', kid: `sample-${alg}`, ...header } as { alg: string })
      .sign(key ?? pairs[alg]!.privateKey)
  }
  return { jwks: { keys } as { keys: JWK[] }, pairs, sign, now }
}

export interface Mutation {
  /** begins with the line of the security requirements that it shows */
  readonly name: string
  readonly reason: string
  readonly token: string
}

/** At least one token for every way of being wrong, each with the reason that it must be refused for. */
export async function mutations(issuer: Awaited<ReturnType<typeof sampleIssuer>>): Promise<Mutation[]> {
  const { sign, pairs, jwks } = issuer
  const at = Math.floor(issuer.now().getTime() / 1000)
  const rsaPem = await exportSPKI(pairs.RS256!.publicKey)
  const rsaJwk = jwks.keys.find(({ alg }) => alg === 'RS256')!
  const rsaDer = createPublicKey(rsaPem).export({ type: 'spki', format: 'der' })
  const stranger = await generateKeyPair('ES256', { extractable: true })
  const strangerJwk = await exportJWK(stranger.publicKey)
  const good = await sign()
  const [head = '', body = '', signature = ''] = good.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
  const hmac = (secret: string | Buffer, header: object = {}) => {
    const text = `${part({ alg: 'HS256', typ: 'at+jwt', kid: 'sample-RS256', ...header })}.${body}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const raw = (header: object, sig = signature, payload: object = claims) => `${part(header)}.${part(payload)}.${sig}`
  const flip = Buffer.from(bytes)
  flip[10]! ^= 1
  const list: [name: string, reason: string, token: string | Promise<string>][] = [
    ['S-107 signature with one bit flipped', 'bad-signature', `${head}.${body}.${flip.toString('base64url')}`],
    [
      'S-107 payload changed after signing',
      'bad-signature',
      `${head}.${part({ ...claims, scope: 'orders:write' })}.${signature}`,
    ],
    [
      'S-107 header changed after signing',
      'bad-signature',
      `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'sample-ES256', x: 1 })}.${body}.${signature}`,
    ],
    ['S-107 another key of the same kid', 'bad-signature', sign({ key: stranger.privateKey })],
    ['S-103 empty signature', 'bad-signature', `${head}.${body}.`],
    [
      'S-108 signature of zeros (r = s = 0)',
      'bad-signature',
      `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    ],
    [
      'S-108 signature one byte short',
      'bad-signature',
      `${head}.${body}.${bytes.subarray(0, 63).toString('base64url')}`,
    ],
    [
      'S-108 signature one byte long',
      'bad-signature',
      `${head}.${body}.${Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url')}`,
    ],
    [
      'S-108 signature in DER form',
      'bad-signature',
      `${head}.${body}.${Buffer.from(`3006020101020101${'00'.repeat(56)}`, 'hex').toString('base64url')}`,
    ],
    ['S-103 alg none, no signature', 'bad-signature', raw({ alg: 'none', typ: 'at+jwt' }, '')],
    ['S-103 alg none, old signature', 'bad-signature', raw({ alg: 'none', typ: 'at+jwt', kid: 'sample-ES256' })],
    ['S-103 alg nOnE', 'bad-signature', raw({ alg: 'nOnE', typ: 'at+jwt' }, '')],
    ['S-102 alg HS256 with the public PEM', 'bad-signature', hmac(rsaPem)],
    ['S-102 alg HS256 with the public PEM, trimmed', 'bad-signature', hmac(rsaPem.trim())],
    ['S-102 alg HS256 with the public PEM and a leading space', 'bad-signature', hmac(` ${rsaPem}`)],
    ['S-102 alg HS256 with the public JWK', 'bad-signature', hmac(JSON.stringify(rsaJwk))],
    ['S-102 alg HS256 with the public DER', 'bad-signature', hmac(rsaDer)],
    ['S-102 alg HS256 without kid', 'bad-signature', hmac(rsaPem, { kid: undefined })],
    ['S-102 alg RS256 over an ES256 key', 'unknown-key', raw({ alg: 'RS256', typ: 'at+jwt', kid: 'sample-ES256' })],
    ['S-102 alg PS256, not listed', 'bad-signature', raw({ alg: 'PS256', typ: 'at+jwt', kid: 'sample-RS256' })],
    ['S-107 alg missing', 'malformed', raw({ typ: 'at+jwt', kid: 'sample-ES256' })],
    ['S-104 own key in jwk header', 'bad-signature', sign({ key: stranger.privateKey, header: { jwk: strangerJwk } })],
    [
      'S-104 own key in jwk header, own kid',
      'unknown-key',
      sign({ key: stranger.privateKey, header: { jwk: strangerJwk, kid: 'own' } }),
    ],
    [
      'S-104 own key behind jku',
      'unknown-key',
      sign({ key: stranger.privateKey, header: { jku: 'http://127.0.0.1:9/jwks', kid: 'own' } }),
    ],
    [
      'S-104 own key behind x5u',
      'unknown-key',
      sign({ key: stranger.privateKey, header: { x5u: 'http://127.0.0.1:9/c', kid: 'own' } }),
    ],
    [
      'S-104 own certificate in x5c',
      'bad-signature',
      sign({ key: stranger.privateKey, header: { x5c: [rsaDer.toString('base64')] } }),
    ],
    ['S-105 kid is a path', 'unknown-key', sign({ header: { kid: '../../../../dev/null' } })],
    ['S-105 kid is SQL', 'unknown-key', sign({ header: { kid: "' OR 1=1; --" } })],
    ['S-105 kid is very long', 'unknown-key', sign({ header: { kid: 'k'.repeat(2000) } })],
    ['S-105 kid is null', 'unknown-key', sign({ header: { kid: null } })],
    ['S-105 kid is a number', 'unknown-key', sign({ header: { kid: 7 } })],
    ['S-105 kid is a list', 'unknown-key', sign({ header: { kid: ['sample-ES256'] } })],
    ['S-105 kid has a null byte', 'unknown-key', sign({ header: { kid: 'sample-ES256\u0000' } })],
    ['S-105 kid is __proto__', 'unknown-key', sign({ header: { kid: '__proto__' } })],
    [
      'S-106 crit with an unknown name',
      'malformed',
      raw({ alg: 'ES256', typ: 'at+jwt', kid: 'sample-ES256', crit: ['x'], x: 1 }),
    ],
    ['S-106 crit that jose itself would accept', 'malformed', sign({ header: { crit: ['b64'], b64: true } })],
    ['S-103 two parts', 'malformed', `${head}.${body}`],
    ['S-107 four parts', 'malformed', `${good}.x`],
    ['S-107 five parts, as if encrypted', 'wrong-kind', `${good}.x.y`],
    ['S-107 no dots', 'malformed', 'abcdef'],
    ['S-107 header is not JSON', 'malformed', `${Buffer.from('{').toString('base64url')}.${body}.${signature}`],
    ['S-107 payload is not JSON', 'malformed', `${head}.${Buffer.from('{').toString('base64url')}.${signature}`],
    ['S-107 an opaque access token', 'wrong-kind', `gth_at_${'A'.repeat(40)}`],
    ['S-107 an opaque API key', 'wrong-kind', `gth_key_${'A'.repeat(40)}`],
    ['S-107 longer than 8 KiB', 'malformed', sign({ claims: { pad: 'x'.repeat(9000) } })],
    ['S-107 exp missing', 'malformed', sign({ claims: { exp: undefined } })],
    ['S-107 exp is a text', 'malformed', sign({ claims: { exp: String(at + 600) } })],
    ['S-107 expired', 'expired', sign({ claims: { iat: at - 700, exp: at - 11 } })],
    ['S-107 expired long ago', 'expired', sign({ claims: { iat: 1, exp: 2 } })],
    ['S-107 older than any token may be', 'expired', sign({ claims: { iat: at - 90_000, exp: at + 90_000 } })],
    ['S-107 nbf in the future', 'not-yet-valid', sign({ claims: { nbf: at + 30 } })],
    ['S-107 nbf is a text', 'malformed', sign({ claims: { nbf: 'now' } })],
    ['S-107 iat in the future', 'not-yet-valid', sign({ claims: { iat: at + 30 } })],
    ['S-107 iat missing', 'malformed', sign({ claims: { iat: undefined } })],
    ['S-107 another issuer', 'wrong-issuer', sign({ claims: { iss: 'https://evil.example' } })],
    ['S-107 issuer with a slash more', 'wrong-issuer', sign({ claims: { iss: `${ISSUER}/` } })],
    ['S-107 issuer in a list', 'wrong-issuer', sign({ claims: { iss: [ISSUER] } })],
    ['S-107 issuer missing', 'wrong-issuer', sign({ claims: { iss: undefined } })],
    ['S-107 another audience', 'wrong-audience', sign({ claims: { aud: 'https://billing.example.com' } })],
    ['S-099 audience longer by a letter', 'wrong-audience', sign({ claims: { aud: `${AUDIENCE}x` } })],
    [
      'S-099 two audiences, one of them right',
      'wrong-audience',
      sign({ claims: { aud: [AUDIENCE, 'https://billing.example.com'] } }),
    ],
    ['S-099 no audience in a list', 'wrong-audience', sign({ claims: { aud: [] } })],
    ['S-099 audience missing', 'wrong-audience', sign({ claims: { aud: undefined } })],
    ['S-099 the client as audience', 'wrong-audience', sign({ claims: { aud: 'shop' } })],
    ['S-107 typ JWT', 'wrong-type', sign({ header: { typ: 'JWT' } })],
    ['S-107 typ missing', 'wrong-type', sign({ header: { typ: undefined } })],
    ['S-107 typ logout+jwt', 'wrong-type', sign({ header: { typ: 'logout+jwt' } })],
    [
      'S-100 an ID token',
      'wrong-type',
      sign({ header: { typ: 'JWT' }, claims: { aud: 'shop', nonce: 'n', scope: undefined } }),
    ],
    ['S-107 sub missing', 'malformed', sign({ claims: { sub: undefined } })],
    ['S-107 sub is an object', 'malformed', sign({ claims: { sub: { admin: true } } })],
    ['S-107 sub has a line break', 'malformed', sign({ claims: { sub: 'ada\r\nx-admin: 1' } })],
    ['S-107 client_id missing', 'malformed', sign({ claims: { client_id: undefined } })],
    ['S-107 jti missing', 'malformed', sign({ claims: { jti: undefined } })],
    ['S-107 scope is a list', 'malformed', sign({ claims: { scope: ['orders:read'] } })],
    ['S-107 scope has a line break', 'malformed', sign({ claims: { scope: 'orders:read\norders:write' } })],
  ]
  return Promise.all(list.map(async ([name, reason, token]) => ({ name, reason, token: await token })))
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
