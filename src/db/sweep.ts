// Expired rows leave in batches, table by table. Nothing relies on it: every reader looks at the end of what it reads.
import { sql } from 'kysely'
import { LOCKS } from './locks.ts'
import type { Db } from './unit-of-work.ts'

/** No statement of ours may run longer (milliseconds): the server cancels it, and the next one asks for fewer rows. */
const STATEMENT_MS = 450

/** What one batch did. `busy`: another node sweeps at this moment; `late`: it took too long and was undone. */
export type Batch = Removed | 'busy' | 'late'

export interface Removed {
  /** rows */
  readonly removed: number
  /** whether another batch may find something to do */
  readonly more: boolean
  /** the end of the last row that went */
  readonly upTo?: Date
}

/**
 * Runs one batch as a transaction of its own, by one node at a time. What is removed needs no durability, because it would be
 * removed again: the commit waits for no disk and no standby.
 */
export async function inBatch(db: Db, work: (trx: Db) => Promise<Removed>): Promise<Batch> {
  try {
    return await db.transaction().execute(async (trx) => {
      // Without sorts the way to the first rows is their index, also where the statistics of a table that has just been filled
      // or emptied tell the planner that it would be quicker to read all of it.
      const lock = await sql<{ mine: boolean }>`select pg_try_advisory_xact_lock(${LOCKS.sweep}) as mine,
        set_config('statement_timeout', ${`${STATEMENT_MS}`}, true),
        set_config('synchronous_commit', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('enable_seqscan', 'off', true)`.execute(trx)
      return lock.rows[0]?.mine ? work(trx) : 'busy'
    })
  } catch (error) {
    if ((error as { code?: unknown }).code === QUERY_CANCELED) return 'late'
    throw error
  }
}

const QUERY_CANCELED = '57014'

/** Rows ending before `before` (and not before `from`, where the last batch came to), at most `size`. */
export interface Limits {
  readonly from?: Date
  readonly before: Date
  readonly size: number
}

/** Removes one batch. */
export type Sweep = (db: Db, limits: Limits) => Promise<Batch>

/** @returns what removes the rows of a table that ended first. Rows that somebody holds are left for the next time */
export function sweepByEnd(table: string): Sweep {
  const rows = sql.table(table)
  return (db, { from, before, size }) =>
    inBatch(db, async (trx) => {
      // From where the last batch ended: the index entries of what that one removed are not walked over again.
      const result = await sql<{ removed: number; up_to: Date | null }>`with gone as (
          delete from ${rows} where ctid = any(array(
            select ctid from ${rows} where expires_at < ${before} and expires_at >= ${from ?? new Date(0)}
            order by expires_at limit ${size} for update skip locked))
          returning expires_at)
        select count(*)::int as removed, max(expires_at) as up_to from gone`.execute(trx)
      const { removed, up_to } = result.rows[0]!
      return { removed, more: removed === size, upTo: up_to ?? undefined }
    })
}

/** @returns when that row of a table ended, or will, which ends first; undefined for a table without such rows */
export async function firstEnd(db: Db, table: string, end: string): Promise<Date | undefined> {
  const column = sql.ref(end)
  const result = await sql<{ first: Date | null }>`select min(${column}) as first from ${sql.table(table)}`.execute(db)
  return result.rows[0]?.first ?? undefined
}
