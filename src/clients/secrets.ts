// Client secrets: made here with 256 random bits, shown once, kept as keyed hashes.
import { randomBytes } from 'node:crypto'
import { type KeyRing, sameHash } from '../secrets/key-ring.ts'
import type { ClientSecretStore } from './secret-store.ts'

const SECRET_BYTES = 32

export interface SecretParts {
  readonly store: ClientSecretStore
  readonly ring: Pick<KeyRing, 'keyedHash'>
  readonly now: () => Date
}

/**
 * Gives a client one more secret.
 * @returns the secret, 43 base64url characters, which is kept nowhere
 */
export async function addSecret({ store, ring, now }: SecretParts, clientId: string): Promise<string> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  await store.insert(clientId, { hash: hashSecret(ring, clientId, secret), createdAt: now() })
  return secret
}

/** Puts a new secret in the place of all that the client has, at once. @returns the new secret */
export async function replaceSecrets(parts: SecretParts, clientId: string): Promise<string> {
  await parts.store.removeAll(clientId)
  return addSecret(parts, clientId)
}

/**
 * Compares a presented secret with every live one of the client, each in constant time and all of them, so that the time
 * tells nothing. An unknown client has none and fails alike.
 */
export async function verifySecret(
  { store, ring, now }: SecretParts,
  clientId: string,
  presented: string,
): Promise<boolean> {
  const hash = hashSecret(ring, clientId, presented)
  const at = now()
  let found = false
  for (const row of await store.list(clientId)) {
    const live = row.expiresAt === undefined || row.expiresAt > at
    found = (sameHash(row.hash, hash) && live) || found
  }
  return found
}

// The client's id is part of what is hashed: a row moved to another client opens nothing.
function hashSecret(ring: Pick<KeyRing, 'keyedHash'>, clientId: string, secret: string): Buffer {
  return ring.keyedHash('client-secret', `${clientId}\0${secret}`)
}
