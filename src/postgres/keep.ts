// A server that dies under its owner is brought back: killed by hand or for want of memory, it recovers from its log, and
// nothing that was committed is lost. One that dies again and again (a full disk makes it panic) is left more and more time.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Reached } from './reach.ts'
import { showPresence, whileDeciding } from './session.ts'

/** Milliseconds from one try to the next; twice as long each time, until one has lived for a while. */
const FIRST_PAUSE = 500
const LAST_PAUSE = 30_000
const A_WHILE = 60_000

export interface Kept {
  /** From now on a server that ends stays ended. @returns the connection of the launch, or what replaced it */
  letGo(): Promise<Reached>
}

/**
 * Watches the connection of a launch, and reaches the server anew when it breaks, until that works.
 * @param reach joins the server or starts it
 * @param say told that the server was away, and why it does not come back
 */
export function keepServer(
  { reach, say }: { reach: () => Promise<Reached>; say: (line: string) => void },
  launched: Reached,
): Kept {
  const over = new AbortController()
  let current = launched
  let reviving: Promise<void> | undefined

  const watch = () =>
    current.session.client.once('end', () => {
      if (!over.signal.aborted) reviving = revive()
    })

  let pause = 0
  let reachedAt = performance.now()

  async function revive(): Promise<void> {
    if (performance.now() - reachedAt > A_WHILE) pause = 0
    while (!over.signal.aborted) {
      await sleep(pause, undefined, { ref: false, signal: over.signal }).catch(() => undefined)
      if (over.signal.aborted) return
      pause = Math.min(LAST_PAUSE, 2 * pause || FIRST_PAUSE)
      try {
        const reached = await reach()
        await whileDeciding(reached.session, () => showPresence(reached.session))
        current = reached
        reachedAt = performance.now()
        watch()
        say('The database was gone and is back.')
        return
      } catch (error) {
        say(`The database is gone and does not come back yet: ${(error as Error).message}`)
      }
    }
  }

  watch()
  return {
    async letGo() {
      over.abort()
      await reviving
      return current
    },
  }
}
