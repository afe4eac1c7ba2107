// Client secrets: made here with 256 random bits, shown once, several live at a time; kept as keyed hashes, or sealed where the
// client signs with the secret, for then it is needed in clear.
import { randomBytes } from 'node:crypto'
import { type KeyRing, sameHash } from '../secrets/key-ring.ts'
import { type ClientFields, secretForm } from './client.ts'
import type { ClientSecretRow, ClientSecretStore, VersionedHash } from './secret-store.ts'

const SECRET_BYTES = 32
const PURPOSE = 'client-secret'

export interface SecretParts {
  readonly store: ClientSecretStore
  readonly ring: Pick<KeyRing, 'version' | 'newHash' | 'hashes' | 'missed' | 'seal' | 'open' | 'reseal'>
  readonly now: () => Date
  /** hears of a secret that was used and is still hashed under an older version of the ring */
  readonly onOldHash?: (id: string, newest: VersionedHash) => void
}

/** What an operator may say about a new secret. */
export interface SecretWishes {
  /** plain text by which people tell secrets apart */
  readonly name?: string
  /** seconds until it ends; without it, it does not */
  readonly lifetime?: number
}

/**
 * Gives a client one more secret, kept in the form that its way of authentication needs.
 * @returns its row, and the secret, 43 base64url characters, which is kept nowhere in clear
 */
export async function addSecret(
  { store, ring, now }: SecretParts,
  client: Pick<ClientFields, 'id' | 'authMethod'>,
  { name, lifetime }: SecretWishes = {},
): Promise<{ row: ClientSecretRow; secret: string }> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const createdAt = now()
  const row = {
    ...(secretForm(client) === 'sealed'
      ? { sealed: ring.seal(sealPurpose(client.id), Buffer.from(secret)) }
      : newestHash(ring, client.id, secret)),
    createdAt,
    ...(name !== undefined && { name }),
    ...(lifetime !== undefined && { expiresAt: new Date(createdAt.getTime() + lifetime * 1000) }),
  }
  return { row: { ...row, id: await store.insert(client.id, row) }, secret }
}

/** @returns whether the secret may still be used; it ends at its second, whether or not its row is still there */
export function isLive(secret: Pick<ClientSecretRow, 'expiresAt'>, now: Date): boolean {
  return secret.expiresAt === undefined || secret.expiresAt > now
}

/**
 * Compares a presented secret with every live one of the client, each in constant time and all of them, so that the time
 * tells nothing. An unknown client has none and fails alike.
 * @returns the id of the secret that it is, or undefined
 */
export async function verifySecret(
  { store, ring, now, onOldHash }: Omit<SecretParts, 'store'> & { readonly store: Pick<ClientSecretStore, 'list'> },
  clientId: string,
  presented: string,
): Promise<string | undefined> {
  const hashes = ring.hashes(PURPOSE, ofClient(clientId, presented))
  const at = now()
  let found: string | undefined
  for (const row of await store.list(clientId)) {
    if (!row.hash) continue
    const hash = hashes.get(row.hashVersion!)
    if (!hash) ring.missed()
    if (!hash || !sameHash(row.hash, hash) || !isLive(row, at)) continue
    found = row.id
    if (row.hashVersion! < ring.version) onOldHash?.(row.id, newestHash(ring, clientId, presented))
  }
  return found
}

/** A secret that its client signs with, still sealed. */
export interface SealedSecret {
  readonly id: string
  readonly sealed: Buffer
}

/** @returns the live sealed secrets of a client, newest first */
export async function listSealedSecrets(
  { store, now }: { readonly store: Pick<ClientSecretStore, 'list'>; readonly now: () => Date },
  clientId: string,
): Promise<readonly SealedSecret[]> {
  const at = now()
  const rows = await store.list(clientId)
  return rows.flatMap((row) => (row.sealed && isLive(row, at) ? [{ id: row.id, sealed: row.sealed }] : []))
}

/**
 * @returns the secret: as a key, its characters are the octets (OpenID Connect Core section 10.1)
 * @throws Error when it was sealed for another client, or under another ring
 */
export function openSecret({ ring }: Pick<SecretParts, 'ring'>, clientId: string, sealed: Buffer): string {
  return ring.open(sealPurpose(clientId), sealed).toString()
}

/** Seals secrets again that were sealed under an older version of the ring. @returns how many that were */
export function resealSecrets({ store, ring }: Pick<SecretParts, 'store' | 'ring'>): Promise<number> {
  return store.reseal((clientId, sealed) => ring.reseal(sealPurpose(clientId), sealed))
}

function sealPurpose(clientId: string): string {
  return `${PURPOSE}\0${clientId}`
}

// The client's id is part of what is hashed: a row moved to another client opens nothing.
function ofClient(clientId: string, secret: string): string {
  return `${clientId}\0${secret}`
}

function newestHash(ring: Pick<KeyRing, 'version' | 'newHash'>, clientId: string, secret: string): VersionedHash {
  return { hash: ring.newHash(PURPOSE, ofClient(clientId, secret)), hashVersion: ring.version }
}
