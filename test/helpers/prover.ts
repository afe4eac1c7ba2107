// A client that proves to have a key (DPoP, RFC 9449).
import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export interface Prover {
  /** thumbprint of the key (RFC 7638) */
  readonly jkt: string
  /**
   * @param url what is called; with `token`, the proof is for presenting it
   * @param changed claims that differ from a good proof's; undefined leaves one out
   * @returns the value of the DPoP header
   */
  prove(
    method: string,
    url: string,
    changed?: JWTPayload & { token?: string },
    options?: { header?: Record<string, unknown>; key?: Parameters<SignJWT['sign']>[0] },
  ): Promise<string>
}

/** @returns a prover with a fresh key */
export async function createProver(alg = 'ES256'): Promise<Prover> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    jkt: await calculateJwkThumbprint(jwk),
    async prove(htm, url, { token, ...changed } = {}, { header = {}, key = privateKey } = {}) {
      const ath = token && createHash('sha256').update(token).digest('base64url')
      const claims = { htm, htu: url, iat: Math.floor(Date.now() / 1000), jti: randomUUID(), ath, ...changed }
      return new SignJWT(JSON.parse(JSON.stringify(claims)))
        .setProtectedHeader(JSON.parse(JSON.stringify({ alg, typ: 'dpop+jwt', jwk, ...header })))
        .sign(key)
    },
  }
}
