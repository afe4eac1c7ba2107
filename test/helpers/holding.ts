// What happens at the same time, in an order that the test sets: a connection of its own holds locks until everybody has come to
// where they wait for one.
import type { TestDatabase } from './database.ts'
import { countBlocked, until } from './until.ts'

/**
 * Holds what a statement locks while requests start, each when the one before waits for a lock.
 * @returns what the requests came to
 */
export async function holding<T extends unknown[]>(
  database: TestDatabase,
  statement: [text: string, values?: unknown[]],
  starts: { [K in keyof T]: () => Promise<T[K]> },
): Promise<T> {
  const pool = database.pool({ max: 2 })
  const holder = await pool.connect()
  const requests: Promise<unknown>[] = []

  /** Waits until so many transactions wait for a lock, or the newest request has its answer without one. */
  async function untilWaiting(count: number, newest: Promise<unknown>): Promise<void> {
    let answered = false
    const done = () => {
      answered = true
    }
    newest.then(done, done)
    await until(async () => answered || (await countBlocked(pool)) >= count, { what: `request ${count} waits or ends` })
  }

  try {
    await holder.query('begin')
    await holder.query(...statement)
    for (const start of starts) {
      const request = start()
      request.catch(() => undefined)
      requests.push(request)
      await untilWaiting(requests.length, request)
    }
  } finally {
    await holder.query('commit')
    holder.release()
    await pool.end()
  }
  return Promise.all(requests) as Promise<T>
}
