// How long a machine let a server wait, measured beside a test: who promises an answer within two seconds promises it of a server
// that is let run. What asks for nothing but a sign of life waits for the machine alone.
import { setTimeout as sleep } from 'node:timers/promises'
import { send } from './process.ts'

// Milliseconds.
const EVERY = 50
/** What a sign of life takes where nothing is in its way. */
const USUAL = 10

export interface Stalls {
  /** @returns milliseconds, of those between two times of `performance.now()`, in which no sign of life came that was due */
  between(from: number, to: number): number
  stop(): Promise<void>
}

/** Asks a port for `/healthz` again and again, until it is told to stop. */
export function watchStalls(port: number): Stalls {
  const stalls: { from: number; to: number }[] = []
  let last = performance.now()
  let on = true
  const due = () => last + EVERY + USUAL
  const asking = (async () => {
    while (on) {
      await sleep(EVERY)
      await send(port, '/healthz').catch(() => undefined)
      const now = performance.now()
      if (now > due()) stalls.push({ from: due(), to: now })
      last = now
    }
  })()
  return {
    between: (from, to) =>
      [...stalls, { from: due(), to: performance.now() }]
        .map((stall) => Math.min(to, stall.to) - Math.max(from, stall.from))
        .reduce((sum, one) => sum + Math.max(0, one), 0),
    async stop() {
      on = false
      await asking
    },
  }
}
