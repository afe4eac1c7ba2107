// Finds or makes the key ring of a database. A secret that cannot open the ring stops the start: a new ring over an
// existing database would make every stored hash and key worthless.
import { sql } from 'kysely'
import type { Db } from '../db/unit-of-work.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { createKeyRing, type KeyRing, makeRingKeys, type RingKeys, unwrapRing, wrapRing } from './key-ring.ts'

// An arbitrary constant of ours, so that several nodes that start at once make one ring.
const RING_LOCK = 7_142_001

/**
 * @param secrets GATEHOUSE_SECRET, newest first; the first one wraps, the others may still open. Asked inside the lock, for
 *   of several nodes that start at once on a fresh database one makes it
 * @param makeSecret makes one for a fresh database that came without
 * @throws OperatorFault when no secret opens the ring, or the ring is missing from a database that is in use
 */
export async function openKeyRing({
  db,
  secrets,
  makeSecret,
  now,
}: {
  db: Db
  secrets: () => readonly string[]
  makeSecret: () => string
  now: () => Date
}): Promise<KeyRing> {
  const keys = await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${RING_LOCK})`.execute(trx)
    const row = await trx.selectFrom('key_ring').select('wrapped').where('id', '=', 1).executeTakeFirst()
    const known = secrets()
    if (!row) {
      await refuseUsed(trx)
      return makeRing(trx, known[0] ?? makeSecret(), now())
    }
    const opened = openWithAny(row.wrapped, known)
    if (opened.secret !== known[0]) {
      await trx
        .updateTable('key_ring')
        .set({ wrapped: wrapRing(opened.keys, known[0]!), updated_at: now() })
        .execute()
    }
    return opened.keys
  })
  return createKeyRing(keys)
}

/**
 * Tries the secrets on the ring of a database before anything in it is changed, its tables included.
 * @throws OperatorFault when there is a ring and no secret opens it
 */
export async function tryRing({ db, secrets }: { db: Db; secrets: () => readonly string[] }): Promise<void> {
  const there = await sql<{ there: boolean }>`select to_regclass('key_ring') is not null as there`.execute(db)
  if (!there.rows[0]?.there) return
  const row = await db.selectFrom('key_ring').select('wrapped').where('id', '=', 1).executeTakeFirst()
  if (row) openWithAny(row.wrapped, secrets())
}

async function refuseUsed(trx: Db): Promise<void> {
  const used = await sql<{ used: boolean }>`select exists (select from signing_keys) or exists (select from accounts)
    or exists (select from clients) as used`.execute(trx)
  if (!used.rows[0]?.used) return
  throw new OperatorFault(
    'This database is in use but its key ring is missing.',
    'Restore the row of table key_ring from a backup. Nothing was changed.',
  )
}

async function makeRing(trx: Db, secret: string, now: Date): Promise<RingKeys> {
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
  if (secrets.length === 0) {
    throw new OperatorFault(
      'The secret of this database is missing: GATEHOUSE_SECRET is not set, and secret.key is not in the data folder.',
      'Restore secret.key from a backup, or set GATEHOUSE_SECRET to what was in it. Nothing was changed.',
    )
  }
  throw new OperatorFault(
    'GATEHOUSE_SECRET does not open this database, which was made with another one.',
    'Set it to that one, or unset it where the data folder holds a secret.key. A list "new,old" changes it. Nothing was changed.',
  )
}
