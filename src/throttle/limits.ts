// How often each guarded act may be tried, and why so often.

/** A token bucket: `burst` tries at once, and after those one more every `every` seconds. */
export interface Limit {
  readonly burst: number
  readonly every: number
}

/**
 * Sign-in, where a secret can be guessed. A try that was right costs nothing, so only mistakes count.
 * - `account`: five mistakes in a row are human, and whoever made them waits three minutes at most. A guesser gets 485 tries on
 *   the first day and 480 on each one after, from however many machines, against passwords of 15 characters that are not well known.
 * - `device`: a browser that the account has signed in with before, since the password was last changed, has a bucket of its own, so
 *   that nobody else can use up its tries. It has earned a little more.
 * - `devices`: all such browsers of an account together. Whoever has the cookies of many (by the password itself, or out of somebody's
 *   browser) guesses with them hardly faster than with one: 1,460 tries on the first day and 1,440 on each one after.
 * - `network`: an office behind one address makes 50 mistakes on a Monday morning and 6 in each minute after; somebody who tries
 *   one well-known password on many accounts gets no further than that either.
 *
 * Links, which nobody guesses: their tokens have 256 bits. What is bounded is the work of hashing for whoever has one, and how
 * fast made-up ones are looked up. `link`: a form that is filled in wrongly again and again still has tries left.
 *
 * There is no bucket for the whole installation: one guesser could empty it for everybody. The work in all is bounded by
 * the queue of the password hashes.
 */
export const LIMITS = {
  signIn: {
    account: { burst: 5, every: 180 },
    device: { burst: 10, every: 60 },
    devices: { burst: 20, every: 60 },
    network: { burst: 50, every: 10 },
  },
  setPassword: {
    link: { burst: 60, every: 10 },
    network: { burst: 200, every: 5 },
  },
  setUp: {
    link: { burst: 60, every: 10 },
    network: { burst: 200, every: 5 },
  },
} as const satisfies Record<string, Record<string, Limit>>

export type Limits = {
  readonly [Act in keyof typeof LIMITS]: { readonly [Bucket in keyof (typeof LIMITS)[Act]]: Limit }
}

/** @returns the same limits with `factor` times the burst, for test runs that are no guessers */
export function raiseLimits(limits: Limits, factor: number): Limits {
  const raise = <Buckets extends Record<string, Limit>>(buckets: Buckets) =>
    Object.fromEntries(
      Object.entries(buckets).map(([name, limit]) => [name, { ...limit, burst: limit.burst * factor }]),
    ) as Buckets
  return { signIn: raise(limits.signIn), setPassword: raise(limits.setPassword), setUp: raise(limits.setUp) }
}
