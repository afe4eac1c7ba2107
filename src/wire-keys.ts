// Builds the keys of an installation for `wire.ts`: the ring under which everything is hashed and sealed, and the keys that sign.
import type { Logger } from 'pino'
import type { Audit } from './audit/entry.ts'
import { type Config, makeSecret, readSecrets } from './config.ts'
import type { Live } from './db/live.ts'
import type { Db, UnitOfWork } from './db/unit-of-work.ts'
import { ID_TOKEN_ALGORITHM, LIFETIMES } from './provider/parts.ts'
import type { Resource } from './resources/resource.ts'
import { followRing } from './secrets/follow-ring.ts'
import { createKeyRing, type KeyRing } from './secrets/key-ring.ts'
import { openKeyRing } from './secrets/open-ring.ts'
import { readRow } from './secrets/ring-row.ts'
import { ensureSigningKeys } from './signing-keys/ensure.ts'
import { holdKeys } from './signing-keys/held.ts'
import { createKeyRotation } from './signing-keys/rotate.ts'
import { createSigningKeyStore, type SigningKeyStore } from './signing-keys/store.ts'
import { deriveKeyTimes, type KeyTimes } from './signing-keys/times.ts'
import { KEY_AGES } from './verifier/remote-key-set.ts'
import { CLOCK_TOLERANCE, LONGEST_ACCESS_TOKEN_SECONDS } from './vocabulary/access-token.ts'

/** When signing keys take their steps. An experiment hands in others. */
export const KEY_TIMES = deriveKeyTimes({
  jwksCache: LIFETIMES.jwksCache,
  refetch: Math.max(KEY_AGES.pause, KEY_AGES.absent) / 1000,
  clockTolerance: CLOCK_TOLERANCE,
  // An ID token comes back as a hint at sign-out, as long as its session lives.
  longestUse: Math.max(LONGEST_ACCESS_TOKEN_SECONDS, LIFETIMES.idToken, LIFETIMES.sessionAbsolute),
  period: 90 * 24 * 60 * 60,
  look: 60,
})

interface RingParts {
  readonly config: Config
  readonly db: Db
  readonly unit: UnitOfWork
  readonly log: Logger
  readonly live?: Live
  readonly now: () => Date
}

/**
 * Opens the ring, and follows its changes.
 * @returns with it, `refreshRing`, which makes sure that it is that of the moment, and the secrets that open it
 * @throws OperatorFault when GATEHOUSE_SECRET does not open the key ring of this database
 */
export async function buildRing({ config, db, unit, log, live, now }: RingParts) {
  const ringSecrets = () => readSecrets(config)
  const opened = await openKeyRing({ db, secrets: ringSecrets, makeSecret: () => makeSecret(config), now })
  if (opened.place > 0)
    log.warn('GATEHOUSE_SECRET: the ring is still wrapped under an older one; "gatehouse rekey" changes it')
  const ring = createKeyRing(opened.keys)
  const { refresh: refreshRing } = followRing({
    ring,
    opened,
    // Whoever looks in the midst of a transaction must not wait for a second connection.
    read: async () => readRow(await unit.read()),
    secrets: ringSecrets,
    vouched: () => live?.version('key-ring'),
    onChange: (listener) => void live?.onChange('key-ring', listener),
    clock: () => performance.now(),
    report: (err) => log.error({ err }, 'the key ring was changed and does not open: requests are refused'),
  })
  return { ring, refreshRing, ringSecrets }
}

interface SigningKeyParts {
  readonly unit: UnitOfWork
  readonly ring: KeyRing
  readonly refreshRing: () => Promise<void>
  readonly audit: Audit
  readonly now: () => Date
  readonly log: Logger
  readonly live?: Live
  readonly times: KeyTimes
  /** Notes that a key must not be trusted any more. */
  readonly endKey: (kid: string) => Promise<unknown>
  readonly listResources: () => Promise<readonly Resource[]>
}

/** Makes the first keys where there are none. @returns the keys at hand, their rows, and what moves them */
export async function buildSigningKeys(parts: SigningKeyParts) {
  const { unit, ring, refreshRing, audit, now, log, live, times, endKey, listResources } = parts
  const stored = createSigningKeyStore({ unit, ring })
  // Sealed under the ring as it is now, also by a process that nobody has asked anything for long.
  const store: SigningKeyStore = {
    ...stored,
    list: () => refreshRing().then(stored.list),
    insert: (...key) => refreshRing().then(() => stored.insert(...key)),
  }
  await ensureSigningKeys({ unit, store, audit, now })
  const heldKeys = await holdKeys(
    {
      store,
      version: () => live?.version('signing-keys'),
      onChange: (listener) => void live?.onChange('signing-keys', listener),
    },
    (error) => log.warn({ err: error }, 'signing keys could not be read'),
  )
  const rotation = createKeyRotation({
    unit,
    store,
    audit,
    now,
    times,
    algorithmsInUse: async () => {
      const jwts = (await listResources()).filter(({ format }) => format === 'jwt')
      return new Set([ID_TOKEN_ALGORITHM, ...jwts.map(({ sign }) => sign)])
    },
    endKey,
  })
  return { ...heldKeys, records: store.records, reseal: store.reseal, rotation, times }
}
