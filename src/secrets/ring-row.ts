// The one row of the key ring: read, opened with the secrets of this process, changed by one at a time.
import { randomInt } from 'node:crypto'
import { sql } from 'kysely'
import { LOCKS } from '../db/locks.ts'
import type { Db, UnitOfWork } from '../db/unit-of-work.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import type { RingKeys } from './ring-keys.ts'
import { unwrapRing, wrapRing } from './wrap.ts'

export interface RingRow {
  readonly wrapped: Buffer
  /** names what is wrapped; wrapping it under another secret leaves it */
  readonly revision: number
}

export interface OpenedRow {
  readonly keys: RingKeys
  readonly revision: number
  /** the secret that has opened it, and its place in the list, from 0 */
  readonly secret: string
  readonly place: number
  /** all secrets that were tried */
  readonly known: readonly string[]
}

/** @returns a name for a changed ring: not the next number, for a standby that was behind may give that twice */
export function newRevision(): number {
  return randomInt(1, 2 ** 31)
}

/** Waits for whoever changes the ring; lasts as long as the transaction. */
export async function lockRing(db: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock(${LOCKS.ring})`.execute(db)
}

/** @returns the row, if this database has a ring */
export async function readRow(db: Db): Promise<RingRow | undefined> {
  return db.selectFrom('key_ring').select(['wrapped', 'revision']).where('id', '=', 1).executeTakeFirst()
}

/** Makes the row of a fresh database. */
export async function insertRow(db: Db, keys: RingKeys, secret: string, now: Date): Promise<void> {
  await db
    .insertInto('key_ring')
    .values({ id: 1, wrapped: wrapRing(keys, secret), updated_at: now })
    .execute()
}

/** Stores a ring. */
export async function writeRow(
  db: Db,
  { keys, secret, revision, now }: { keys: RingKeys; secret: string; revision: number; now: Date },
): Promise<void> {
  await db
    .updateTable('key_ring')
    .set({ wrapped: wrapRing(keys, secret), revision, updated_at: now })
    .execute()
}

/** Runs `change` on the opened ring, alone, in one unit of work. @throws OperatorFault when no secret opens the ring */
export function changeRow<T>(
  { unit, secrets }: { unit: UnitOfWork; secrets: () => readonly string[] },
  change: (opened: OpenedRow, db: Db) => Promise<T>,
): Promise<T> {
  return unit.run(async () => {
    const db = await unit.write()
    await lockRing(db)
    const row = await readRow(db)
    if (!row) throw new OperatorFault('This database has no key ring yet.', 'The first start makes it.')
    return change(openRow(row, secrets()), db)
  })
}

/** @throws OperatorFault when none of the secrets opens the row */
export function openRow({ wrapped, revision }: RingRow, secrets: readonly string[]): OpenedRow {
  for (const [place, secret] of secrets.entries()) {
    const keys = unwrapRing(wrapped, secret)
    if (keys) return { keys, revision, secret, place, known: secrets }
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
