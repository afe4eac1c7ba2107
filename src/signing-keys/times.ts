// When a signing key may take its next step. Every time follows from how long others keep our keys and from how long they
// show us what a key signed.

/** Milliseconds, all of them. */
export interface KeyTimes {
  /** a key is published at least this long before it signs */
  readonly published: number
  /** a key that signs no more is published and verifies at least this long */
  readonly retiring: number
  /** a key signs this long, then its successor takes over */
  readonly period: number
  /** how often a process looks whether a step is due */
  readonly look: number
}

/** What the times follow from, in seconds. */
export interface KeyTimeFacts {
  /** `max-age` of the published key set */
  readonly jwksCache: number
  /** longest time for which a verifier does not ask again after a key that it did not find */
  readonly refetch: number
  /** how far clocks may differ */
  readonly clockTolerance: number
  /** how long anything that a key signed is still shown to us or to others */
  readonly longestUse: number
  readonly period: number
  readonly look: number
}

/** @returns the times that keep every verifier right, whatever of these it does */
export function deriveKeyTimes(facts: KeyTimeFacts): KeyTimes {
  // Two clocks take part in each step: one node notes the time, another one compares it.
  const apart = 2 * facts.clockTolerance
  return {
    published: (facts.jwksCache + facts.refetch + apart) * 1000,
    retiring: (facts.longestUse + apart) * 1000,
    period: facts.period * 1000,
    look: facts.look * 1000,
  }
}

/** @returns the same times, all of them divided: an experiment sees years of rotation in a minute */
export function scaleKeyTimes(times: KeyTimes, divisor: number): KeyTimes {
  const scaled = Object.entries(times).map(([name, value]) => [name, value / divisor])
  return Object.fromEntries(scaled) as unknown as KeyTimes
}

/** @returns how many keys of an algorithm stand by, so that one of them has been published long enough whenever a turn comes */
export function standbyCount({ published, period }: KeyTimes): number {
  return Math.max(1, Math.ceil(published / period))
}
