// Makes one signing key, off the event loop.
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import type { FreshKey, SigningAlgorithm } from './key.ts'

/**
 * @returns a fresh key whose `kid` is its RFC 7638 thumbprint, and one that a command line takes: it does not begin with a
 *   hyphen. An RSA key takes from half a second to six
 */
export async function makeSigningKey(alg: SigningAlgorithm, createdAt: Date): Promise<FreshKey> {
  const pair = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 })
  const publicPart = await exportJWK(pair.publicKey)
  const kid = await calculateJwkThumbprint(publicPart)
  if (kid.startsWith('-')) return makeSigningKey(alg, createdAt)
  const named = { kid, alg, use: 'sig' }
  return {
    kid,
    alg,
    publicJwk: { ...publicPart, ...named },
    privateJwk: { ...(await exportJWK(pair.privateKey)), ...named },
    createdAt,
  }
}
