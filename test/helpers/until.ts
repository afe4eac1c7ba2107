// Waiting for a state, not for a time: a busy machine is slow, and a test that hopes for the best within a second is red on it.
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

/** Milliseconds: whatever takes longer than this on any machine does not come. */
const PATIENCE = 30_000

export interface Waiting {
  /** milliseconds after `since`: a look that began later must find it; a look that took long is no proof of anything */
  readonly within?: number
  /** what `performance.now()` said when the bound began; the moment of the call unless told */
  readonly since?: number
  /** milliseconds between two looks */
  readonly every?: number
  /** what is waited for, for the message of the error */
  readonly what?: string
}

type Nothing = false | 0 | '' | null | undefined

/**
 * Looks again and again until `look` returns something truthy, and waits for each look to end. Whoever asserts a bound
 * gives it: time counts up to the beginning of a look, so that an answer that was late, or a test that was not let run, is no fault.
 * @returns what the last look returned
 * @throws Error when a look that began at the bound or later still found nothing
 */
export async function until<Found>(
  look: () => Found | Promise<Found>,
  { within = PATIENCE, since = performance.now(), every = 10, what = String(look) }: Waiting = {},
): Promise<Exclude<Found, Nothing>> {
  for (;;) {
    const begun = performance.now()
    const found = await look()
    if (found) return found as Exclude<Found, Nothing>
    if (begun - since >= within) throw new Error(`waited in vain for ${within} ms: ${what}`)
    await sleep(every)
  }
}

type Asked = Pick<pg.Pool, 'query'>

/**
 * @param database not the connection that holds the lock: a transaction sees only the connections of its first look
 * @returns how many transactions of this database wait for a lock
 */
export async function countBlocked(database: Asked): Promise<number> {
  const { rows } = await database.query<{ waiting: number }>(
    `select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows[0]!.waiting
}

/**
 * Waits until so many transactions of this database wait for a lock: who waits has read what it read before.
 * @throws Error when they do not come
 */
export async function untilBlocked(database: Asked, count: number): Promise<void> {
  await until(async () => (await countBlocked(database)) >= count, { what: `${count} transactions wait for a lock` })
}
