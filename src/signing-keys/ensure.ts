// Makes the first signing keys: one per algorithm, off the event loop, exactly once however many nodes start together.
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { SigningAlgorithm, SigningKey, SigningKeyStore } from './store.ts'

const ALGORITHMS: readonly SigningAlgorithm[] = ['ES256', 'RS256']
// An arbitrary constant of ours, like the one that guards the key ring.
const KEYS_LOCK = 7_142_002

/**
 * @returns every signing key, after making those that are missing
 */
export async function ensureSigningKeys({
  unit,
  store,
  now,
}: {
  unit: UnitOfWork
  store: SigningKeyStore
  now: () => Date
}): Promise<readonly SigningKey[]> {
  const missing = missingAlgorithms(await store.list())
  if (missing.length === 0) return store.list()
  // Made before the lock is taken: an RSA key takes from half a second to six. A racing node throws its own away.
  const made = await Promise.all(missing.map((alg) => makeSigningKey(alg, now())))
  return unit.run(async () => {
    await sql`select pg_advisory_xact_lock(${KEYS_LOCK})`.execute(await unit.write())
    const still = missingAlgorithms(await store.list())
    for (const key of made.filter(({ alg }) => still.includes(alg))) await store.insert(key)
    return store.list()
  })
}

function missingAlgorithms(keys: readonly SigningKey[]): SigningAlgorithm[] {
  return ALGORITHMS.filter((alg) => !keys.some((key) => key.alg === alg))
}

/** @returns a fresh key whose `kid` is its RFC 7638 thumbprint */
export async function makeSigningKey(alg: SigningAlgorithm, createdAt: Date): Promise<SigningKey> {
  const pair = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 })
  const publicPart = await exportJWK(pair.publicKey)
  const kid = await calculateJwkThumbprint(publicPart)
  const named = { kid, alg, use: 'sig' }
  return {
    kid,
    alg,
    publicJwk: { ...publicPart, ...named },
    privateJwk: { ...(await exportJWK(pair.privateKey)), ...named },
    createdAt,
  }
}
