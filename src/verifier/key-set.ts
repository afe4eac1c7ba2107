// Where verification keys come from. Server, authorizer and users' own APIs hand one of these to the verifier.
import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet } from 'jose'
import { type Refusal, refuse } from '../vocabulary/verdict.ts'

/** The two header parameters by which a key may be chosen; nothing else of a token's header is ever looked at for that. */
export interface KeyHeader {
  readonly alg: string
  readonly kid?: string
}

export type FoundKey = { readonly ok: true; readonly key: CryptoKey } | Refusal

export interface KeySet {
  /** @returns the public key, or a refusal: `unknown-key`, or `unavailable` where keys could not be had */
  getKey(header: KeyHeader): Promise<FoundKey>
}

/**
 * A key set held in memory.
 * @param jwks a JWK Set (RFC 7517 section 5) of public signature keys
 * @throws where `jwks` is not a JWK Set, or holds private or symmetric keys
 */
export function createKeySet(jwks: JSONWebKeySet): KeySet {
  const find = createLocalJWKSet(jwks)
  for (const key of jwks.keys) {
    if (key.kty === 'oct' || 'd' in key || 'priv' in key || 'k' in key) {
      throw new TypeError(`Key "${key.kid ?? 'without kid'}" of the set is not public`)
    }
  }
  return {
    async getKey({ alg, kid }) {
      try {
        return { ok: true, key: await find({ alg, kid }) }
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) return refuse('unknown-key', 'no such key')
        return refuse('unknown-key', `no usable key: ${(error as Error).message}`)
      }
    },
  }
}
