// Whether the database answers this process, as seen by all who wait for it together. Whoever is in a request has waited since
// the silence began, or since the request did: it does not begin to count again with each statement.
import { AsyncLocalStorage } from 'node:async_hooks'

/** What came of a wait: an answer, a refusal or an error included; nothing that tells; or silence until the end. */
type Outcome = 'answer' | 'nothing' | 'silence'

export interface Pulse {
  /** @returns to be called once with what came of it */
  wait(): (outcome: Outcome) => void
  /** @returns milliseconds for which the request at hand, or who began to wait at `since`, has got no sign of life */
  silence(since: number): number
}

const request = new AsyncLocalStorage<number>()

/** Runs a request; waits inside it count from its beginning. */
export function asRequest<T>(work: () => T): T {
  return request.run(performance.now(), work)
}

/** @returns milliseconds since the request at hand began, or since `since` outside of one */
export function waitedFor(since: number): number {
  return performance.now() - (request.getStore() ?? since)
}

/** @returns the pulse of one pool; times are those of `performance.now()` */
export function createPulse(): Pulse {
  let waiting = 0
  let silent = false
  /** since when somebody has been waiting without an answer to anybody */
  let silentSince: number | undefined

  return {
    wait() {
      waiting += 1
      silentSince ??= performance.now()
      return (outcome) => {
        waiting -= 1
        if (outcome === 'silence') silent = true
        if (outcome === 'answer') {
          silent = false
          silentSince = waiting > 0 ? performance.now() : undefined
        } else if (waiting === 0 && !silent) silentSince = undefined
      }
    },

    silence(since) {
      if (silentSince === undefined) return 0
      return performance.now() - Math.max(silentSince, request.getStore() ?? since)
    },
  }
}
