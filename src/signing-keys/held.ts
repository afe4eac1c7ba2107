// The keys that this process works with. They are what the database has: a change that was heard of is fetched at once, and
// while nobody can vouch that every change is heard of, each use looks for itself.
import type { SigningKey } from './key.ts'
import { describeKeys, type SigningKeyStore } from './store.ts'

export interface HeldKeysParts {
  readonly store: Pick<SigningKeyStore, 'list' | 'fingerprint'>
  /** @returns a value that changes with the rows of signing keys; undefined while changes might be missed */
  readonly version: () => string | undefined
  /** @param listener is called when the rows may have changed */
  readonly onChange: (listener: () => Promise<void>) => void
}

export interface HeldKeys {
  /** @returns the published keys; of each algorithm the active one first */
  held(): readonly SigningKey[]
  /** Resolves when what is held is not older than this call, or than the notice of a change takes. */
  refresh(): Promise<void>
  /** @param listener is called whenever other keys are held than before */
  onSwap(listener: () => void): void
}

/**
 * @param report hears of a failed look after a notice; the next use looks again
 * @returns the holder, with keys in it
 */
export async function holdKeys(
  { store, version, onChange }: HeldKeysParts,
  report: (error: unknown) => void,
): Promise<HeldKeys> {
  const listeners: (() => void)[] = []
  let keys: readonly SigningKey[] = []
  let readAt: string | undefined
  let flight: Promise<void> | undefined

  async function load(): Promise<void> {
    const before = { keys, version: version() } // the version first: a change meanwhile makes what is read look old
    const read = await store.list()
    keys = read
    try {
      if (describeKeys(read) !== describeKeys(before.keys)) for (const listener of listeners) listener()
    } catch (error) {
      keys = before.keys // held is what everybody works with; the next use tries again
      throw error
    }
    readAt = before.version
  }

  async function isCurrent(): Promise<boolean> {
    const vouched = version()
    return vouched === undefined ? (await store.fingerprint()) === describeKeys(keys) : vouched === readAt
  }

  async function refresh(): Promise<void> {
    // Whoever joins a flight may have joined one that left before the change.
    for (let flights = 0; !(await isCurrent()); flights++) {
      if (flights === MOST_FLIGHTS) throw new Error('signing keys change faster than they can be read')
      flight ??= load().finally(() => {
        flight = undefined
      })
      await flight
    }
  }

  await load()
  onChange(() => refresh().catch(report))
  return { held: () => keys, refresh, onSwap: (listener) => void listeners.push(listener) }
}

const MOST_FLIGHTS = 5
