// Finds or makes the key ring of a database. A secret that cannot open the ring stops the start: a new ring over an
// existing database would make every stored hash and key worthless.
import { sql } from 'kysely'
import type { Db } from '../db/unit-of-work.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { createKeyRing, type KeyRing, makeRingKeys, type RingKeys, unwrapRing, wrapRing } from './key-ring.ts'

// An arbitrary constant of ours, so that several nodes that start at once make one ring.
const RING_LOCK = 7_142_001

/**
 * @param secrets GATEHOUSE_SECRET, newest first; the first one wraps, the others may still open
 * @throws OperatorFault when no secret opens the ring, or the ring is missing from a database that is in use
 */
export async function openKeyRing({
  db,
  secrets,
  now,
}: {
  db: Db
  secrets: readonly string[]
  now: () => Date
}): Promise<KeyRing> {
  const newest = secrets[0]
  if (newest === undefined) throw new Error('openKeyRing needs at least one secret')
  const keys = await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${RING_LOCK})`.execute(trx)
    const row = await trx.selectFrom('key_ring').select('wrapped').where('id', '=', 1).executeTakeFirst()
    if (!row) return makeRing(trx, newest, now())
    const opened = openWithAny(row.wrapped, secrets)
    if (opened.secret !== newest) {
      await trx
        .updateTable('key_ring')
        .set({ wrapped: wrapRing(opened.keys, newest), updated_at: now() })
        .execute()
    }
    return opened.keys
  })
  return createKeyRing(keys)
}

async function makeRing(trx: Db, secret: string, now: Date): Promise<RingKeys> {
  const used = await sql<{ used: boolean }>`select exists (select from signing_keys) or exists (select from accounts)
    or exists (select from clients) as used`.execute(trx)
  if (used.rows[0]?.used) {
    throw new OperatorFault(
      'This database is in use but its key ring is missing.',
      'Restore the row of table key_ring from a backup. Nothing was changed.',
    )
  }
  const keys = makeRingKeys()
  await trx
    .insertInto('key_ring')
    .values({ id: 1, wrapped: wrapRing(keys, secret), updated_at: now })
    .execute()
  return keys
}

function openWithAny(wrapped: Buffer, secrets: readonly string[]): { keys: RingKeys; secret: string } {
  for (const secret of secrets) {
    const keys = unwrapRing(wrapped, secret)
    if (keys) return { keys, secret }
  }
  throw new OperatorFault(
    'GATEHOUSE_SECRET does not open the key ring of this database.',
    'Start with the secret that this database was made with; a list "new,old" changes it. Nothing was changed.',
  )
}
