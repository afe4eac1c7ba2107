// The guard before everything that hashes a password: one named act each, with its buckets.
import type { Db } from '../db/unit-of-work.ts'
import { type Bucket, createBuckets } from './buckets.ts'
import { LIMITS, type Limit, raiseLimits } from './limits.ts'
import { networkOf } from './network.ts'

/** A test run signs in as the same few people all day. */
const TEST_FACTOR = 1000

export interface ThrottledTry {
  readonly ok: false
  readonly reason: 'throttled'
  /** whole seconds until the next try, at least 1 */
  readonly seconds: number
  /** when that is */
  readonly at: Date
}

/** A try that may be made. It is spent already; `giveBack` is for one that was right, or was not made after all. */
export type Try = { readonly ok: true; giveBack(): Promise<void> } | ThrottledTry

export interface Throttle {
  /**
   * Before a password is compared.
   * @param who `account`: the key of the email as it was given, whether or not there is such an account; `address`: who calls;
   *   `device`: the browser, where this account has signed in with it before. Its tries are then its own and those of all known
   *   browsers of the account: neither strangers nor neighbours can use them up.
   */
  signIn(who: { account: string; address: string; device?: string }): Promise<Try>
  /** Before a password is set by a link. @param who `link`: the link's token as it was given */
  setPassword(who: { link: string; address: string }): Promise<Try>
  /** Before the first administrator is made by a link. */
  setUp(who: { link: string; address: string }): Promise<Try>
}

/** What the log is told of a refused try: never who was meant. */
export interface RefusedTry {
  readonly act: string
  /** the kind of the bucket that was empty */
  readonly bucket: string
  readonly seconds: number
}

/**
 * @param parts `db`: the pool itself; `hashes` makes row keys (16 bytes each) under every key of the server: a try is taken under
 *   each, so that changing the keys neither refills a bucket nor gives each node its own; `raised`: for test runs;
 *   `ipv6Prefix`: bits of a network; `refused` hears of each try that was refused. A refusal changes nothing, so it is no audit
 *   entry: whoever hammers at a form would fill the audit.
 * @returns the guard; it throws where the database does not answer, and then no password is compared (fail closed)
 */
export function createThrottle({
  db,
  hashes,
  raised,
  ipv6Prefix,
  refused,
}: {
  db: Db
  hashes: (value: string) => readonly Buffer[]
  raised: boolean
  ipv6Prefix?: number
  refused: (what: RefusedTry) => void
}): Throttle {
  const buckets = createBuckets({ db })
  const limits = raised ? raiseLimits(LIMITS, TEST_FACTOR) : LIMITS

  const attempt = async (act: string, wanted: Record<string, readonly [Limit, string]>): Promise<Try> => {
    const named = Object.entries(wanted).flatMap(([name, [limit, value]]) =>
      // Nobody who reads the table learns who was tried, or from where.
      hashes(`${act}\0${name}\0${value}`).map((key) => ({ name, bucket: { ...limit, key } satisfies Bucket })),
    )
    const asked = named.map(({ bucket }) => bucket)
    const taking = await buckets.take(asked)
    if (taking.ok) return { ok: true, giveBack: () => buckets.giveBack(asked) }
    const seconds = Math.max(1, Math.ceil(taking.seconds))
    refused({ act, bucket: named.find(({ bucket }) => bucket.key.equals(taking.lacking))?.name ?? '', seconds })
    return { ok: false, reason: 'throttled', seconds, at: taking.at }
  }

  return {
    signIn({ account, address, device }) {
      const { signIn } = limits
      if (device !== undefined) {
        return attempt('sign-in', { device: [signIn.device, device], devices: [signIn.devices, account] })
      }
      return attempt('sign-in', {
        account: [signIn.account, account],
        network: [signIn.network, networkOf(address, ipv6Prefix)],
      })
    },

    setPassword: ({ link, address }) =>
      attempt('set-password', {
        link: [limits.setPassword.link, link],
        network: [limits.setPassword.network, networkOf(address, ipv6Prefix)],
      }),

    setUp: ({ link, address }) =>
      attempt('set-up', {
        link: [limits.setUp.link, link],
        network: [limits.setUp.network, networkOf(address, ipv6Prefix)],
      }),
  }
}
