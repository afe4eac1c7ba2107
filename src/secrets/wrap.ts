// The key ring under GATEHOUSE_SECRET, as it lies in its row.
import { hkdfSync, randomBytes } from 'node:crypto'
import { parseRingKeys, type RingKeys } from './ring-keys.ts'
import { decrypt, encrypt } from './seal.ts'

const SALT_BYTES = 16

/**
 * Wraps the ring under a secret: HKDF-SHA-256 (RFC 5869) with a fresh salt, then AES-256-GCM.
 * @param secret at least 32 characters, from GATEHOUSE_SECRET
 */
export function wrapRing(keys: RingKeys, secret: string): Buffer {
  const salt = randomBytes(SALT_BYTES)
  return Buffer.concat([salt, encrypt(wrappingKey(secret, salt), 'key-ring', Buffer.from(JSON.stringify(keys)))])
}

/** @returns the keys, or undefined when the secret does not open the wrapped ring */
export function unwrapRing(wrapped: Buffer, secret: string): RingKeys | undefined {
  const salt = wrapped.subarray(0, SALT_BYTES)
  const plain = decrypt(wrappingKey(secret, salt), 'key-ring', wrapped.subarray(SALT_BYTES))
  return plain && parseRingKeys(plain.toString('utf8'))
}

function wrappingKey(secret: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, 'gatehouse key ring', 32))
}
