// Expired rows leave by themselves, in small batches that hold no lock for long. Nothing relies on it: every reader looks at
// the end of what it reads.
import { sql } from 'kysely'
import type { Db } from './unit-of-work.ts'

// An arbitrary constant of ours: one node sweeps at a time, the others pass.
const SWEEP_LOCK = 7_142_005
const BATCH = 1000
const EVERY_MS = 60_000

/**
 * What is swept, and for how many seconds it is kept after its end: replayed codes must be recognised as long as clocks may
 * differ, and whoever comes late to a sign-in page is offered to start again.
 */
const KEPT_SECONDS: Record<string, number> = {
  authorization_codes: 60,
  access_tokens: 60,
  refresh_families: 60,
  replays: 60,
  endings: 60,
  sessions: 60,
  grants: 60,
  interactions: 24 * 60 * 60,
  account_links: 24 * 60 * 60,
}

/**
 * Removes every row whose time is over.
 * @returns how many rows went
 */
export async function sweep({ db, now }: { db: Db; now: () => Date }): Promise<number> {
  let removed = 0
  for (const [table, kept] of Object.entries(KEPT_SECONDS)) {
    const before = new Date(now().getTime() - kept * 1000)
    for (let batch = BATCH; batch === BATCH; removed += batch) batch = await sweepBatch(db, table, before)
  }
  return removed
}

/** Rows that somebody holds are left for the next time. */
async function sweepBatch(db: Db, table: string, before: Date): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const lock = await sql<{ mine: boolean }>`select pg_try_advisory_xact_lock(${SWEEP_LOCK}) as mine`.execute(trx)
    if (!lock.rows[0]?.mine) return 0
    const result = await sql`delete from ${sql.table(table)} where ctid = any(array(
      select ctid from ${sql.table(table)} where expires_at < ${before} order by expires_at
      limit ${BATCH} for update skip locked))`.execute(trx)
    return Number(result.numAffectedRows ?? 0n)
  })
}

export interface Sweeper {
  /** Waits for the batch at hand, and starts no more. */
  stop(): Promise<void>
}

/**
 * Sweeps now and every minute.
 * @param report hears of each sweep that removed something, and of each that failed
 */
export function startSweeper(
  { db, now }: { db: Db; now: () => Date },
  report: (outcome: { removed: number } | { error: unknown }) => void,
): Sweeper {
  let running = Promise.resolve()
  const run = () => {
    running = running.then(async () => {
      try {
        const removed = await sweep({ db, now })
        if (removed > 0) report({ removed })
      } catch (error) {
        report({ error })
      }
    })
  }
  run()
  const timer = setInterval(run, EVERY_MS)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
