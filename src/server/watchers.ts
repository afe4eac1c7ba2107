// Who watches this node: a load balancer asks for /readyz again and again, and stops sending requests once it has seen red often
// enough. Before anything closes it is given the time to.

/** Times red until a watcher has turned away; HAProxy's `fall` and most others' are 3 or less. */
const ENOUGH = 3
// Milliseconds.
const REMEMBERED = 30_000
const LONGEST = 15_000
/** Who asks often is not gone because this machine is too busy to hear it. */
const SHORTEST_PATIENCE = 3000

/** How many watchers are told apart, so that made-up ones cost no memory. */
const MOST = 100

export interface Watchers {
  /** Notes that somebody asked whether this node is ready. @param from the address of the connection */
  asked(from: string): void
  /** From now on the answer is red: this node is not ready. */
  turnRed(): void
  red(): boolean
  /**
   * @returns whether somebody asked within half a minute before red, still asks as often as before, and has not seen red often
   *   enough; false after fifteen seconds in any case
   */
  watching(): boolean
}

interface Watcher {
  last: number
  /** between the last two times it asked */
  gap?: number
  reds: number
}

/** @param clock milliseconds of a clock that only goes forward */
export function createWatchers({ clock }: { clock: () => number }): Watchers {
  const watchers = new Map<string, Watcher>()
  let redSince: number | undefined

  function isWatching({ last, gap, reds }: Watcher, since: number, now: number): boolean {
    if (reds >= ENOUGH || since - last > REMEMBERED) return false
    return now - Math.max(last, since) < Math.max(SHORTEST_PATIENCE, (gap ?? 0) * 2.5)
  }

  return {
    asked(from) {
      const now = clock()
      const before = watchers.get(from)
      watchers.delete(from)
      watchers.set(from, {
        last: now,
        gap: before && now - before.last,
        reds: (before?.reds ?? 0) + (redSince === undefined ? 0 : 1),
      })
      if (watchers.size > MOST) watchers.delete(watchers.keys().next().value!)
    },

    turnRed() {
      redSince ??= clock()
    },

    red: () => redSince !== undefined,

    watching() {
      const now = clock()
      if (redSince === undefined || now - redSince > LONGEST) return false
      for (const watcher of watchers.values()) if (isWatching(watcher, redSince, now)) return true
      return false
    },
  }
}
