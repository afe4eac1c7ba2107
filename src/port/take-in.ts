// Before a port closes: what the kernel has accepted for us already must be taken in, because closing resets it.
import type { Server } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

// Milliseconds.
/** Whoever comes during the last turn is lost, so it must be one in which nothing else was done. */
const QUIET = 0.2
/** Under a load that leaves no such turn for this long, one in which nobody came must do. */
const PATIENT = 3000
/** However many still come. */
const AT_MOST = 4000

/**
 * @param clock milliseconds of a clock that only goes forward
 * @param server before it listens
 * @returns waits for a moment in which nobody comes, for four seconds at most: one connection comes with each turn of the loop.
 *   The port must be closed right after it, by whoever called, without waiting for anything
 */
export function createTakeIn({ clock }: { clock: () => number }, server: Server): () => Promise<void> {
  let taken = 0
  server.on('connection', () => {
    taken += 1
  })
  return async () => {
    if (!server.listening) return
    const begun = clock()
    await turn() // may come without a look at the port
    for (;;) {
      const [before, since] = [taken, clock()]
      await turn()
      const now = clock()
      const nobody = before === taken && (now - since < QUIET || now - begun > PATIENT)
      if (nobody || now - begun > AT_MOST) return
    }
  }
}
