// A client that proves who it is by signing, with a key of its own or with its secret (RFC 7523 section 3).
import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export interface Signer {
  /** what the client registers */
  readonly jwks: { readonly keys: readonly object[] }
  /**
   * @param changed claims that differ from a good assertion's; undefined leaves one out
   * @param options `header` adds to the header, `key` signs in the place of the right one
   * @returns the two parameters of the token request
   */
  assert(
    changed?: JWTPayload,
    options?: { header?: Record<string, unknown>; key?: Parameters<SignJWT['sign']>[0] },
  ): Promise<{ client_assertion: string; client_assertion_type: string }>
}

/** @returns a signer with a fresh P-256 key */
export async function createSigner(issuer: string, clientId: string): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
  return { jwks: { keys: [jwk] }, assert: asserts(issuer, clientId, { alg: 'ES256', kid: 'k1' }, privateKey) }
}

/** @returns a signer with the secret of the client (client_secret_jwt) */
export function createSecretSigner(issuer: string, clientId: string, secret: string): Pick<Signer, 'assert'> {
  return { assert: asserts(issuer, clientId, { alg: 'HS256' }, Buffer.from(secret)) }
}

function asserts(
  issuer: string,
  clientId: string,
  ownHeader: { alg: string; kid?: string },
  ownKey: Parameters<SignJWT['sign']>[0],
): Signer['assert'] {
  return async (changed = {}, { header = {}, key = ownKey } = {}) => {
    const at = Math.floor(Date.now() / 1000)
    const claims = { iss: clientId, sub: clientId, aud: issuer, iat: at, exp: at + 60, jti: randomUUID(), ...changed }
    return {
      client_assertion: await new SignJWT(JSON.parse(JSON.stringify(claims)))
        .setProtectedHeader({ ...ownHeader, ...header })
        .sign(key),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    }
  }
}
