// The key ring: random keys made at first start and kept, wrapped under GATEHOUSE_SECRET, in one row. Everything that is
// hashed or sealed at rest hangs on it, so that a dump of the database alone opens nothing.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'

/** What the ring holds; versions let a later rotation keep old keys for reading. Keys are 32 random bytes, base64url. */
export interface RingKeys {
  readonly version: number
  readonly pepper: string
  readonly atRest: string
  readonly cookies: readonly string[]
}

export interface KeyRing {
  /**
   * The lookup hash of a secret that we made: HMAC-SHA-256 under the pepper.
   * @param purpose keeps the hashes of different kinds apart, for example `client-secret`
   * @returns 32 bytes
   */
  keyedHash(purpose: string, value: string): Buffer
  /** The first 16 bytes of `keyedHash`: enough for a row key, 128 bits that nobody without the ring can aim at. */
  handle(purpose: string, value: string): Buffer
  /** Encrypts with AES-256-GCM under the at-rest key; `purpose` is bound to the result. */
  seal(purpose: string, plain: Buffer): Buffer
  /** @throws Error when the value was sealed for another purpose, under another ring, or was changed */
  open(purpose: string, sealed: Buffer): Buffer
  /** keys that sign cookies, newest first */
  readonly cookieKeys: readonly string[]
}

/** @returns fresh random keys for a new installation */
export function makeRingKeys(): RingKeys {
  const key = () => randomBytes(32).toString('base64url')
  return { version: 1, pepper: key(), atRest: key(), cookies: [key()] }
}

/** @returns the ring's operations over its keys */
export function createKeyRing(keys: RingKeys): KeyRing {
  const pepper = Buffer.from(keys.pepper, 'base64url')
  const atRest = Buffer.from(keys.atRest, 'base64url')
  const keyedHash = (purpose: string, value: string) =>
    createHmac('sha256', pepper).update(`${purpose}\0`).update(value).digest()
  return {
    keyedHash,
    handle: (purpose, value) => keyedHash(purpose, value).subarray(0, 16),
    seal: (purpose, plain) => encrypt(atRest, purpose, plain),
    open: (purpose, sealed) => decrypt(atRest, purpose, sealed),
    cookieKeys: keys.cookies,
  }
}

/** @returns whether two hashes are equal, in a time that does not depend on where they differ */
export function sameHash(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

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
  try {
    const plain = decrypt(wrappingKey(secret, salt), 'key-ring', wrapped.subarray(SALT_BYTES))
    return JSON.parse(plain.toString('utf8')) as RingKeys
  } catch {
    return undefined
  }
}

function wrappingKey(secret: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, 'gatehouse key ring', 32))
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

function encrypt(key: Buffer, purpose: string, plain: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: Buffer, purpose: string, sealed: Buffer): Buffer {
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const tag = sealed.subarray(-TAG_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose)).setAuthTag(tag)
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
}
