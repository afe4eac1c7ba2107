// Keeps a copy of the issuer's keys. Fresh: used. Stale: used, while a new copy is on its way. Too old: never used.
// Ages are differences of wall-clock times, because timers stand still while a Lambda container is frozen.
import type { JSONWebKeySet } from 'jose'
import { refuse } from '../vocabulary/verdict.ts'
import { createKeySet, type FoundKey, type KeyHeader, type KeySet } from './key-set.ts'

/** Milliseconds, all of them. */
export interface KeyAges {
  /** a copy is fresh this long, unless the issuer's `Cache-Control: max-age` says otherwise within the two bounds */
  readonly fresh: number
  readonly freshAtLeast: number
  readonly freshAtMost: number
  /** from this age on a copy is not used any more, whatever happens */
  readonly hard: number
  /** least time between two loads for the sake of stale copies and unknown keys */
  readonly pause: number
  /** least time between two loads while there is no usable copy at all */
  readonly retry: number
  /** a load that is under way longer than this is not waited for */
  readonly patience: number
  /** how long a key id that a fresh copy does not have is taken as absent without asking again */
  readonly absent: number
}

export const KEY_AGES: KeyAges = {
  fresh: 5 * 60_000,
  freshAtLeast: 60_000,
  freshAtMost: 15 * 60_000,
  hard: 60 * 60_000,
  pause: 30_000,
  retry: 5_000,
  patience: 2_000,
  absent: 60_000,
}

const MAX_ABSENT = 200
const MAX_KID_LENGTH = 256

/** A JWK Set as just loaded; `maxAge` in milliseconds, where the answer named one. */
export interface LoadedKeys {
  readonly jwks: JSONWebKeySet
  readonly maxAge?: number
}

export interface RemoteKeySetParts {
  /** gets the set from the issuer; rejects within a bounded time */
  readonly load: () => Promise<LoadedKeys>
  readonly now: () => Date
  /** told in one sentence of each failed load */
  readonly warn?: (text: string) => void
}

/**
 * A key set that is loaded when first needed and kept up to date.
 * @param ages defaults to KEY_AGES
 * @returns a key set; `unavailable` where there is no copy younger than `ages.hard` and none can be had
 */
export function createRemoteKeySet({ load, now, warn = () => {} }: RemoteKeySetParts, ages = KEY_AGES): KeySet {
  let copy: { keys: KeySet; loadedAt: number; freshFor: number } | undefined
  let flight: { startedAt: number; done: Promise<void> } | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let flights = 0
  let landed = 0
  const absent = new Map<string, number>()

  const since = (time: number) => {
    const age = now().getTime() - time
    return age < 0 ? Number.POSITIVE_INFINITY : age // a clock that was set back makes everything old, never young
  }
  const usable = () => (copy && since(copy.loadedAt) < ages.hard ? copy : undefined)

  /** One load at a time. A flight that froze with its container and missed its own time limit is left behind. */
  function reload(): Promise<void> {
    if (flight && since(flight.startedAt) < ages.patience) return flight.done
    const startedAt = now().getTime()
    triedAt = startedAt
    const mine = { startedAt, done: take(startedAt) }
    flight = mine
    void mine.done.then(() => {
      if (flight === mine) flight = undefined
    })
    return mine.done
  }

  async function take(startedAt: number): Promise<void> {
    const flightNumber = ++flights
    try {
      const { jwks, maxAge = ages.fresh } = await load()
      const keys = createKeySet(jwks)
      if (flightNumber < landed) return // a later one was faster
      landed = flightNumber
      copy = { keys, loadedAt: startedAt, freshFor: Math.min(Math.max(maxAge, ages.freshAtLeast), ages.freshAtMost) }
      absent.clear()
    } catch (error) {
      const age = copy ? `; the copy in use is ${Math.round(since(copy.loadedAt) / 1000)} s old` : ''
      warn(`Verification keys could not be loaded: ${(error as Error).message}${age}`)
    }
  }

  async function findNew(header: KeyHeader, kid: string): Promise<FoundKey> {
    const unknown = refuse('unknown-key', 'no such key')
    if (kid.length > MAX_KID_LENGTH) return unknown
    const knownSince = absent.get(kid)
    if (knownSince !== undefined && since(knownSince) < ages.absent) return unknown
    if (!flight && since(triedAt) < ages.pause) return unknown
    const before = copy
    await reload()
    const found = (await usable()?.keys.getKey(header)) ?? refuse('unavailable', 'no verification keys')
    if (!found.ok && copy !== before) {
      absent.set(kid, now().getTime())
      if (absent.size > MAX_ABSENT) absent.delete(absent.keys().next().value as string)
    }
    return found
  }

  return {
    async getKey(header) {
      const current = usable()
      if (!current && (flight || since(triedAt) >= ages.retry)) await reload()
      else if (current && since(current.loadedAt) >= current.freshFor && since(triedAt) >= ages.pause) void reload()
      const held = usable()
      if (!held) return refuse('unavailable', 'no verification keys')
      const found = await held.keys.getKey(header)
      return found.ok || found.reason !== 'unknown-key' ? found : findNew(header, String(header.kid ?? ''))
    },
  }
}
