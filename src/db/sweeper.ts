// Keeps the tables swept: looks every few seconds, and does not stop while something is left to do.
import { setTimeout as sleep } from 'node:timers/promises'
import { firstEnd } from './sweep.ts'
import { makeSweeps, SWEPT, SWEPT_TABLES, type SweptTable } from './swept.ts'
import type { Db } from './unit-of-work.ts'

const EVERY_MS = 10_000

/** A batch that takes longer than the second is halved, one that takes less than the first doubled (milliseconds). */
const AIM_MS = { least: 100, most: 250 }
const ROWS = { least: 20, first: 500, most: 20_000 }

export interface SweeperParts {
  /** a pool of its own: a request must never wait for a sweep */
  readonly db: Db
  readonly now: () => Date
  /** hears of each batch that removed something, and of each that failed */
  readonly report: (outcome: SweepOutcome) => void
}

export type SweepOutcome =
  | { readonly table: string; readonly removed: number; readonly milliseconds: number }
  | { readonly table: string; readonly error: unknown }

export interface Sweeper {
  /**
   * For how many seconds rows have been there that should be gone, by table. It grows while nothing is swept, also while
   * the database is away. A table is missing until it has been looked at.
   */
  lag(): Readonly<Record<string, number>>
  /** Sweeps what is due now. @returns how many rows went; a table that failed is reported and passed over */
  sweep(): Promise<number>
  /** Waits for the batch at hand, and starts no more. */
  stop(): Promise<void>
}

/**
 * Sweeps now and then every ten seconds, one node at a time.
 * @param every milliseconds between two looks; 0 sweeps only when told
 */
export function startSweeper({ db, now, report }: SweeperParts, every = EVERY_MS): Sweeper {
  const ends = new Map<SweptTable, Date | undefined>()
  const sizes = new Map<SweptTable, number>()
  const sweeps = makeSweeps()
  const over = new AbortController()

  /** @returns the end of the kept time: what ended before it should be gone */
  const due = (table: SweptTable) => new Date(now().getTime() - SWEPT[table].kept * 1000)

  async function look(table: SweptTable): Promise<boolean> {
    const first = await firstEnd(db, table, SWEPT[table].end)
    ends.set(table, first)
    return first !== undefined && first < due(table)
  }

  /** @returns what went, and where the next batch begins if there is to be one */
  async function batch(table: SweptTable, from: Date | undefined): Promise<{ removed: number; from?: Date } | 'busy'> {
    const size = sizes.get(table) ?? ROWS.first
    const limits = { from, before: due(table), size }
    const begun = performance.now()
    const done = await sweeps[table](db, limits)
    const milliseconds = performance.now() - begun
    if (done === 'busy') return done
    if (done === 'late' || milliseconds > AIM_MS.most) sizes.set(table, Math.max(ROWS.least, Math.floor(size / 2)))
    if (done === 'late') {
      if (size > ROWS.least) return { removed: 0, from: from ?? new Date(0) }
      throw new Error(`removing ${size} rows took too long`)
    }
    const { removed, more, upTo } = done
    if (removed > 0) report({ table, removed, milliseconds })
    if (!more) return { removed }
    if (milliseconds < AIM_MS.least) sizes.set(table, Math.min(ROWS.most, size * 2))
    ends.set(table, upTo)
    return { removed, from: upTo }
  }

  async function sweep(): Promise<number> {
    let removed = 0
    // One batch of each table in turn, so that none waits for the backlog of another.
    const left = new Map<SweptTable, Date | undefined>()
    const attempt = async (table: SweptTable, work: () => Promise<unknown>) => {
      try {
        await work()
      } catch (error) {
        left.delete(table)
        report({ table, error })
      }
    }
    for (const table of SWEPT_TABLES) {
      await attempt(table, async () => {
        if (!over.signal.aborted && (await look(table))) left.set(table, undefined)
      })
    }
    while (left.size > 0 && !over.signal.aborted) {
      for (const [table, from] of [...left]) {
        const begun = performance.now()
        await attempt(table, async () => {
          const done = await batch(table, from)
          // Whoever holds the lock works at the same tables.
          if (done === 'busy') return left.clear()
          removed += done.removed
          if (done.from) return left.set(table, done.from)
          left.delete(table)
          await look(table)
        })
        if (over.signal.aborted) break
        // At most half of the time is ours: requests have the database, and this process, for the other half.
        if (left.size > 0)
          await sleep(performance.now() - begun, undefined, { signal: over.signal }).catch(() => undefined)
      }
    }
    return removed
  }

  let running: Promise<unknown> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const run = () => {
    running = sweep().finally(() => {
      if (!over.signal.aborted) timer = setTimeout(run, every).unref()
    })
  }
  if (every > 0) run()

  return {
    lag: () =>
      Object.fromEntries(
        [...ends].map(([table, first]) => [
          table,
          first ? Math.max(0, (due(table).getTime() - first.getTime()) / 1000) : 0,
        ]),
      ),
    sweep,
    async stop() {
      over.abort()
      clearTimeout(timer)
      await running
    },
  }
}
