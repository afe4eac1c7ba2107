// The time of the database, which all processes share: what is stored ends by it, whatever a machine's own clock says. Between two
// answers of the database it goes on by a clock that nobody sets.
import { sql } from 'kysely'
import type { Db } from './unit-of-work.ts'

export interface DatabaseClock {
  /** @returns the time of the database, as exactly as its answers allow; this machine's before the first one */
  now(): Date
  /**
   * Takes an answer.
   * @param time what the database said, in milliseconds since 1970
   * @param since when it was asked @param until when it had answered; both in milliseconds of the clock that only goes forward
   */
  heard(time: number, since: number, until: number): void
  /** Asks. */
  ask(db: Db): Promise<void>
  /** @returns seconds by which this machine's clock is ahead; negative when it is behind */
  ahead(): number
}

/** What the database is asked for. */
export const TIME = '(extract(epoch from clock_timestamp()) * 1000)::float8'

/**
 * @param clock milliseconds of a clock that only goes forward
 * @param machine this machine's clock, which may be set
 */
export function createDatabaseClock({
  clock,
  machine = () => new Date(),
}: {
  clock: () => number
  machine?: () => Date
}): DatabaseClock {
  let offset: number | undefined

  const heard: DatabaseClock['heard'] = (time, since, until) => {
    // Somewhere on the way the answer was made: what fits is kept, what does not is moved as little as possible, so that the time
    // does not tremble with the network.
    const [least, most] = [time - until, time - since]
    offset = Math.min(Math.max(offset ?? (least + most) / 2, least), most)
  }
  const now = () => (offset === undefined ? machine() : new Date(offset + clock()))
  return {
    now,
    heard,
    async ask(db) {
      const since = clock()
      const { rows } = await sql<{ time: number }>`select ${sql.raw(TIME)} as time`.execute(db)
      heard(rows[0]!.time, since, clock())
    },
    ahead: () => (machine().getTime() - now().getTime()) / 1000,
  }
}
