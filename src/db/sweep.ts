// Expired rows leave in batches, table by table. Nothing relies on it: every reader looks at the end of what it reads.
import { sql } from 'kysely'
import type { Db } from './unit-of-work.ts'

// An arbitrary constant of ours: one node sweeps at a time, the others pass.
const SWEEP_LOCK = 7_142_005

/** No statement of ours may run longer (milliseconds): the server cancels it, and the next one asks for fewer rows. */
const STATEMENT_MS = 450

/**
 * What is swept, and for how many seconds it is kept after its end: replayed codes must be recognised as long as clocks may
 * differ, and whoever comes late to a sign-in page is offered to start again. (A pushed request that is gone counts as used.) Audit entries have no end; they are never swept.
 */
export const KEPT_SECONDS: Readonly<Record<string, number>> = {
  authorization_codes: 60,
  access_tokens: 60,
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
export type Batch = { readonly removed: number; readonly upTo: Date | undefined } | 'busy' | 'late'

/**
 * Removes the rows of a table that ended first. Rows that somebody holds are left for the next time. What is removed needs
 * no durability of its own, because it would be removed again: the commit waits for no disk and no standby.
 * @param batch rows ending before `before` (and not before `from`, where the last batch came to), at most `size`
 */
export async function sweepBatch(
  db: Db,
  { table, from, before, size }: { table: string; from?: Date; before: Date; size: number },
): Promise<Batch> {
  try {
    return await db.transaction().execute(async (trx) => {
      const lock = await sql<{ mine: boolean }>`select pg_try_advisory_xact_lock(${SWEEP_LOCK}) as mine,
        set_config('statement_timeout', ${`${STATEMENT_MS}`}, true),
        set_config('synchronous_commit', 'off', true)`.execute(trx)
      if (!lock.rows[0]?.mine) return 'busy'
      const rows = sql.table(table)
      // From where the last batch ended: the index entries of what that one removed are not walked over again.
      const result = await sql<{ removed: number; up_to: Date | null }>`with gone as (
          delete from ${rows} where ctid = any(array(
            select ctid from ${rows} where expires_at < ${before} and expires_at >= ${from ?? new Date(0)}
            order by expires_at limit ${size} for update skip locked))
          returning expires_at)
        select count(*)::int as removed, max(expires_at) as up_to from gone`.execute(trx)
      const { removed, up_to } = result.rows[0]!
      return { removed, upTo: up_to ?? undefined }
    })
  } catch (error) {
    if ((error as { code?: unknown }).code === QUERY_CANCELED) return 'late'
    throw error
  }
}

const QUERY_CANCELED = '57014'

/** @returns when the row of a table ends that ends first, or undefined for a table without such rows */
export async function firstEnd(db: Db, table: string): Promise<Date | undefined> {
  const result = await sql<{ first: Date | null }>`select min(expires_at) as first from ${sql.table(table)}`.execute(db)
  return result.rows[0]?.first ?? undefined
}
