// Expired rows leave in batches, table by table. Nothing relies on it: every reader looks at the end of what it reads.
import { sql } from 'kysely'
import { LOCKS } from './locks.ts'
import type { Db } from './unit-of-work.ts'

/** No statement of ours may run longer (milliseconds): the server cancels it, and the next one asks for fewer rows. */
const STATEMENT_MS = 450

/**
 * What is swept, and for how many seconds it is kept after its end: replayed codes must be recognised as long as clocks may
 * differ, a request that read an epoch just before it ended may still write, and whoever comes late to a sign-in page is
 * offered to start again. (A pushed request that is gone counts as used.) Audit entries have no end; they are never swept.
 */
export const KEPT_SECONDS: Readonly<Record<string, number>> = {
  ended_epochs: 60,
  authorization_codes: 60,
  access_tokens: 60,
  token_facts: 60,
  refresh_families: 60,
  replays: 60,
  pushed_requests: 60 * 60,
  endings: 60,
  sessions: 60,
  grants: 60,
  interactions: 24 * 60 * 60,
  account_links: 24 * 60 * 60,
  // Buckets go by the database's clock, the sweeper by that of its node, which must not empty them early.
  throttle_buckets: 24 * 60 * 60,
}

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

/**
 * Removes the rows of a table that ended first. Rows that somebody holds are left for the next time.
 * @param limits rows ending before `before` (and not before `from`, where the last batch came to), at most `size`
 */
export function sweepBatch(
  db: Db,
  { table, from, before, size }: { table: string; from?: Date; before: Date; size: number },
): Promise<Batch> {
  return inBatch(db, async (trx) => {
    const rows = sql.table(table)
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
export async function firstEnd(db: Db, table: string): Promise<Date | undefined> {
  const end = sql.ref(table === 'ended_epochs' ? 'ended_at' : 'expires_at')
  const result = await sql<{ first: Date | null }>`select min(${end}) as first from ${sql.table(table)}`.execute(db)
  return result.rows[0]?.first ?? undefined
}
