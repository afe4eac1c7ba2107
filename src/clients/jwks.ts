// A client's public keys, as it registers them: strong enough, public only, one name each.
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { type DocumentFault, isPlainObject } from '../vocabulary/document.ts'

const MOST_KEYS = 20
const LEAST_RSA_BITS = 2048
const CURVES: Readonly<Record<string, readonly string[]>> = { EC: ['P-256', 'P-384', 'P-521'], OKP: ['Ed25519'] }
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/**
 * @param value a JWK set (RFC 7517 section 5)
 * @returns a fault for each key that is weak, private, symmetric or malformed; [] when all are good
 */
export function jwksFaults(value: unknown): DocumentFault[] {
  if (!isPlainObject(value) || !Array.isArray(value.keys)) {
    return [{ path: [], text: 'must be a JWK set: { "keys": [ … ] }' }]
  }
  const keys: unknown[] = value.keys
  if (keys.length === 0 || keys.length > MOST_KEYS)
    return [{ path: ['keys'], text: `must have 1 to ${MOST_KEYS} keys` }]
  const kids = keys.map((key) => (isPlainObject(key) ? key.kid : undefined))
  return keys.flatMap((key, index) => {
    const repeated = kids[index] !== undefined && kids.indexOf(kids[index]) < index
    const text = keyFault(key) ?? (repeated ? 'has the kid of another key' : undefined)
    return text === undefined ? [] : [{ path: ['keys', index], text }]
  })
}

function keyFault(key: unknown): string | undefined {
  if (!isPlainObject(key) || typeof key.kty !== 'string') return 'must be a JWK: a map with a kty'
  if (key.kid !== undefined && (typeof key.kid !== 'string' || key.kid === '')) return 'has a kid that is not text'
  if (key.kty === 'oct') return 'is symmetric (kty oct); a client registers public keys'
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(key, member))) {
    return 'has private members; register the public part only, and replace this key: it has been shown'
  }
  const curves = CURVES[key.kty]
  if (curves && !curves.includes(String(key.crv))) return `must be on one of the curves ${curves.join(', ')}`
  if (!curves && key.kty !== 'RSA') return 'must be of kty RSA, EC or OKP'
  return strengthFault(key)
}

function strengthFault(key: Record<string, unknown>): string | undefined {
  let parsed: KeyObject
  try {
    parsed = createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
  } catch {
    return 'is not a valid public key'
  }
  const bits = parsed.asymmetricKeyDetails?.modulusLength
  if (key.kty === 'RSA' && (bits === undefined || bits < LEAST_RSA_BITS)) {
    return `is an RSA key of ${bits} bits; at least ${LEAST_RSA_BITS} are needed`
  }
  return undefined
}
