// Password hashing takes a core for tens of milliseconds and 19 MiB. This bounds how much of it runs and waits.
import { availableParallelism } from 'node:os'
import { Problem } from '../http/problem.ts'

export type WorkQueue = <T>(work: () => Promise<T>) => Promise<T>

/**
 * @param limits `running` at once (one per core); `waiting` behind them
 * @returns a function that runs work in its turn, or refuses at once with 503 when the queue is full
 */
export function createWorkQueue({
  running = availableParallelism(),
  waiting = 64,
}: {
  running?: number
  waiting?: number
} = {}): WorkQueue {
  let active = 0
  const queue: (() => void)[] = []

  return async (work) => {
    if (active >= running) {
      if (queue.length >= waiting) {
        throw new Problem(
          503,
          'temporarily_unavailable',
          'Too many people are signing in right now. Try again in a few seconds.',
          {
            headers: { 'Retry-After': '2' },
            detail: 'password queue is full',
          },
        )
      }
      // Whoever finishes hands its place on, so nobody can slip in between.
      await new Promise<void>((start) => queue.push(start))
    } else {
      active += 1
    }
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else active -= 1
    }
  }
}
