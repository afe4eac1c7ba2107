// Signing keys are sealed again under a new version of the ring while somebody moves them along.
import { createAudit } from '../../src/audit/append.ts'
import type { Audit } from '../../src/audit/entry.ts'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { ensureSigningKeys } from '../../src/signing-keys/ensure.ts'
import { createKeyRotation, type KeyRotation } from '../../src/signing-keys/rotate.ts'
import { createSigningKeyStore } from '../../src/signing-keys/store.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { untilBlocked } from '../helpers/until.ts'

const TIMES = { published: 300_000, retiring: 600_000, period: 3_600_000, look: 1000 }

let database: TestDatabase
let connected: Connected

beforeEach(async () => {
  database = await createTestDatabase()
  connected = connect(database.connection, { max: 5 })
})
afterEach(async () => {
  await connected.close()
  await database.drop()
})

it.each<[string, string, (rotation: KeyRotation, kid: string) => Promise<{ ok: boolean }>]>([
  ['rotated', 'key.retired', (rotation) => rotation.rotate(['ES256'], 'operator')],
  ['taken away at once', 'key.compromised', (rotation, kid) => rotation.retire(kid, true, 'operator')],
])('a key is %s: neither stands in the other’s way', async (_how, first, move) => {
  let time = Date.parse('2026-01-01T00:00:00Z')
  const now = () => new Date(time)
  const ring = createKeyRing(makeRingKeys())
  const unit = createUnitOfWork(connected.db)
  const store = createSigningKeyStore({ unit, ring })
  const append = createAudit({ unit, now, requestId: () => undefined })
  let sealing: Promise<number> | undefined
  const another = createUnitOfWork(connected.db)
  const sealer = createSigningKeyStore({ unit: another, ring })
  // Between the two rows that change.
  const audit: Audit = async (entry) => {
    await append(entry)
    if (entry.kind !== first || sealing) return
    sealing = another.run(() => sealer.reseal())
    sealing.catch(() => undefined)
    await untilBlocked(database.pool({ max: 1 }), 1)
  }
  const algorithmsInUse = async () => new Set(['ES256', 'RS256'])
  const rotation = createKeyRotation({
    unit,
    store,
    audit,
    now,
    times: TIMES,
    algorithmsInUse,
    endKey: async () => true,
  })

  await ensureSigningKeys({ unit, store, audit, now })
  await rotation.step()
  time += TIMES.published
  const active = (await store.records()).find(({ alg, state }) => alg === 'ES256' && state === 'active')!
  // The row that changes first comes after its successor in the table.
  await connected.db.updateTable('signing_keys').set({ state: 'active' }).where('kid', '=', active.kid).execute()
  expect(await move(rotation, active.kid)).toMatchObject({ ok: true })
  expect(await sealing).toBe(0)
})
