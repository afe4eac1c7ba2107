// Which tables are swept, when a row of theirs is over, and for how long it is kept after that.
import type { Schema } from './schema.ts'
import { type Sweep, sweepByEnd } from './sweep.ts'
import { createEpochSweep } from './sweep-epochs.ts'

export interface Swept {
  /** seconds for which a row is kept after its end */
  readonly kept: number
  /** the column with its end */
  readonly end: 'expires_at' | 'ended_at'
  /** @returns what removes batches; it may remember where it came to */
  readonly makeSweep: (table: string) => Sweep
}

const after = (kept: number): Swept => ({ kept, end: 'expires_at', makeSweep: sweepByEnd })

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/**
 * Replayed codes must be recognised as long as clocks may differ, a request that read an epoch just before it ended may still
 * write, and whoever comes late to a sign-in page is offered to start again. (A pushed request that is gone counts as used.)
 * Audit entries have no end; they are never swept.
 */
export const SWEPT = {
  ended_epochs: { kept: MINUTE, end: 'ended_at', makeSweep: createEpochSweep },
  authorization_codes: after(MINUTE),
  access_tokens: after(MINUTE),
  token_facts: after(MINUTE),
  refresh_families: after(MINUTE),
  replays: after(MINUTE),
  pushed_requests: after(HOUR),
  endings: after(MINUTE),
  sessions: after(MINUTE),
  grants: after(MINUTE),
  // Anybody can begin a sign-in, any number of times a second: no longer than somebody stays away from an open page.
  interactions: after(HOUR),
  account_links: after(DAY),
  // Buckets go by the database's clock, the sweeper by that of its node, which must not empty them early.
  throttle_buckets: after(DAY),
} as const satisfies Partial<Record<keyof Schema, Swept>>

export type SweptTable = keyof typeof SWEPT

/** In the order in which they are swept. */
export const SWEPT_TABLES = Object.keys(SWEPT) as readonly SweptTable[]

/** @returns what removes batches of each table, for one sweeper */
export function makeSweeps(): Readonly<Record<SweptTable, Sweep>> {
  return Object.fromEntries(SWEPT_TABLES.map((table) => [table, SWEPT[table].makeSweep(table)])) as Record<
    SweptTable,
    Sweep
  >
}
