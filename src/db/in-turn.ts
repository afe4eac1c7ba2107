// Compare-and-set that leaves no queue. In PostgreSQL an UPDATE that lost waits for the winner's commit, and then *holds* the
// row until its own: a hundred losers pass through the row one after the other, each for as long as its transaction takes.
// So only who gets an advisory lock of the row touches it; the others look on until it is decided.
import { setTimeout as sleep } from 'node:timers/promises'
import { type RawBuilder, sql } from 'kysely'
import { outage } from './outage.ts'

/** Milliseconds: how often the others look, and until when somebody must have decided. */
const LOOK_AGAIN = 25
const DECIDED_WITHIN = 1_700

/** @returns a condition for the UPDATE: true for one transaction at a time, until its end; `key` names the row (8 bytes or more) */
export function myTurn(key: Buffer): RawBuilder<boolean> {
  return sql<boolean>`pg_try_advisory_xact_lock(${key.readBigInt64BE(0)}::bigint)`
}

/**
 * @param attempt the UPDATE with `myTurn` in its condition, then a look at the row; `undecided` while somebody else is at it
 * @returns what was decided
 * @throws an outage with code 08006 when nobody decides in time: who is at it may be held up by something else
 */
export async function inTurn<T>(attempt: () => Promise<T | 'undecided'>): Promise<T> {
  const begun = performance.now()
  for (;;) {
    const outcome = await attempt()
    if (outcome !== 'undecided') return outcome
    if (performance.now() - begun > DECIDED_WITHIN)
      throw outage('08006', 'A transaction that holds a row does not end.')
    await sleep(LOOK_AGAIN)
  }
}
