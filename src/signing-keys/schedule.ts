// Looks every now and then whether a step of the signing keys is due. Every process does; the lock lets one of them act.
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyRotation, KeyStep } from './rotate.ts'

export interface Schedule {
  /** Starts no more steps. A key that is being made is thrown away. */
  stop(): Promise<void>
}

// So that of several processes that started together one makes a key, and the others find it made.
const SPREAD = 0.5
const FIRST = 1 / 30

/**
 * @param parts `look` in milliseconds: about this long between two looks; the first one comes after a thirtieth of that
 * @param report hears of each change, and of each look that failed
 */
export function startSchedule(
  { rotation, look }: { rotation: Pick<KeyRotation, 'step'>; look: number },
  report: (outcome: KeyStep | { error: unknown }) => void,
): Schedule {
  const over = new AbortController()
  const { signal } = over
  const run = async () => {
    for (let wait = look * FIRST; !signal.aborted; wait = look) {
      await sleep(wait * (1 - SPREAD / 2 + Math.random() * SPREAD), undefined, { signal, ref: false })
      try {
        for (const step of await rotation.step(signal)) report(step)
      } catch (error) {
        report({ error })
      }
    }
  }
  const running = run().catch(() => undefined) // a sleep that is cut short rejects
  return {
    async stop() {
      over.abort()
      await running
    },
  }
}
