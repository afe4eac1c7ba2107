// Finds or makes the key ring of a database. A secret that cannot open the ring stops the start: a new ring over an
// existing database would make every stored hash and key worthless.
import { sql } from 'kysely'
import type { Db } from '../db/unit-of-work.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { makeRingKeys } from './ring-keys.ts'
import { insertRow, lockRing, type OpenedRow, openRow, readRow } from './ring-row.ts'

/**
 * @param secrets GATEHOUSE_SECRET, newest first; each may open the ring, `gatehouse rekey` wraps it under the first. Asked
 *   inside the lock, for of several nodes that start at once on a fresh database one makes it
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
}): Promise<OpenedRow> {
  return db.transaction().execute(async (trx) => {
    await lockRing(trx)
    const row = await readRow(trx)
    const known = secrets()
    if (row) return openRow(row, known)
    await refuseUsed(trx)
    const keys = makeRingKeys(now())
    const secret = known[0] ?? makeSecret()
    await insertRow(trx, keys, secret, now())
    return { keys, secret, revision: 1, place: 0, known: [secret] }
  })
}

/**
 * Tries the secrets on the ring of a database before anything in it is changed, its tables included.
 * @throws OperatorFault when there is a ring and no secret opens it
 */
export async function tryRing({ db, secrets }: { db: Db; secrets: () => readonly string[] }): Promise<void> {
  const there = await sql<{ there: boolean }>`select to_regclass('key_ring') is not null as there`.execute(db)
  if (!there.rows[0]?.there) return
  const row = await db.selectFrom('key_ring').select('wrapped').where('id', '=', 1).executeTakeFirst()
  if (row) openRow({ ...row, revision: 1 }, secrets())
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
