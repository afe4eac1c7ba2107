// What the schedule does with each key next, and when: a pure function of the rows and the times.
import type { KeyRecord, SigningAlgorithm } from './key.ts'
import type { KeyTimes } from './times.ts'

export interface NextStep {
  readonly step: 'activate' | 'retire' | 'remove'
  readonly at: Date
}

/** @returns the key of an algorithm that takes over next: the one published longest */
export function successorOf(keys: readonly KeyRecord[], alg: SigningAlgorithm): KeyRecord | undefined {
  return keys
    .filter((key) => key.alg === alg && key.state === 'next')
    .sort((a, b) => a.publishedAt.getTime() - b.publishedAt.getTime())[0]
}

/** @returns from when on a published key may sign */
export function signsFrom(key: KeyRecord, { published }: Pick<KeyTimes, 'published'>): Date {
  return new Date(key.publishedAt.getTime() + published)
}

/** @returns from when on a retiring key may go */
export function goesFrom(key: KeyRecord, { retiring }: Pick<KeyTimes, 'retiring'>): Date {
  return new Date((key.retiredAt ?? key.createdAt).getTime() + retiring)
}

/**
 * @param keys all of them
 * @returns what comes next for `key`; undefined where nothing is planned
 */
export function nextStep(key: KeyRecord, keys: readonly KeyRecord[], times: KeyTimes): NextStep | undefined {
  if (key.state === 'retiring') return { step: 'remove', at: goesFrom(key, times) }
  if (key.state === 'gone') return undefined
  const active = keys.find((other) => other.alg === key.alg && other.state === 'active')
  const successor = successorOf(keys, key.alg)
  if (!active || !successor) return undefined
  const over = (active.activatedAt ?? active.createdAt).getTime() + times.period
  const at = new Date(Math.max(over, signsFrom(successor, times).getTime()))
  if (key.kid === active.kid) return { step: 'retire', at }
  return key.kid === successor.kid ? { step: 'activate', at } : undefined
}
