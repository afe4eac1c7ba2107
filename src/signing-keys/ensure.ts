// Sees to it that each algorithm has a key that signs: at first start, exactly once however many nodes start together.
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { type KeyRecord, SIGNING_ALGORITHMS, type SigningAlgorithm } from './key.ts'
import { makeSigningKey } from './make.ts'
import type { SigningKeyStore } from './store.ts'

/**
 * Activates a key for each algorithm that has none. Nothing signed with it until now, so nobody can hold a copy of the key
 * set that would have served: the key that stands by is taken however short it has been published, else a new one.
 */
export async function ensureSigningKeys({
  unit,
  store,
  audit,
  now,
}: {
  unit: UnitOfWork
  store: SigningKeyStore
  audit: Audit
  now: () => Date
}): Promise<void> {
  const missing = missingAlgorithms(await store.records())
  if (missing.length === 0) return
  // Made before the lock is taken: an RSA key takes from half a second to six. A racing node throws its own away.
  const made = await Promise.all(missing.map((alg) => makeSigningKey(alg, now())))
  await unit.run(async () => {
    await store.lock()
    const keys = await store.records()
    for (const alg of missingAlgorithms(keys)) {
      const ready = keys.find((key) => key.alg === alg && key.state === 'next')
      const fresh = made.find((key) => key.alg === alg)
      if (ready) await store.activate(ready.kid, now())
      else if (fresh) await store.insert(fresh, 'active', now())
      const key = ready ?? fresh
      if (key) await audit({ kind: 'key.activated', actor: 'server', subject: key.kid, detail: { alg } })
    }
  })
}

function missingAlgorithms(keys: readonly KeyRecord[]): SigningAlgorithm[] {
  return SIGNING_ALGORITHMS.filter((alg) => !keys.some((key) => key.alg === alg && key.state === 'active'))
}
