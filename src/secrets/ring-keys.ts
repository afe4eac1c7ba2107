// What the key ring holds: keys in versions, oldest first. One version makes new values; older ones stay for reading what
// was made before, and a newer one may lie ready, so that every process can read it before any uses it.
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { MOST_RING_VERSIONS } from '../vocabulary/ring-mark.ts'

/** Keys are 32 random bytes, base64url; times are ISO 8601. */
export interface RingVersion {
  readonly id: number
  /** keys the look-up hashes */
  readonly pepper: string
  /** seals what must be had in clear again */
  readonly atRest: string
  /** signs cookies */
  readonly cookie: string
  readonly madeAt: string
  /** since when new values are made under it; absent while it lies ready */
  readonly usedFrom?: string
}

export interface RingKeys {
  /** the version that makes new values */
  readonly current: number
  readonly versions: readonly RingVersion[]
}

/** @returns fresh random keys for a new installation */
export function makeRingKeys(now = new Date()): RingKeys {
  return { current: 1, versions: [{ ...makeVersion(1, now), usedFrom: now.toISOString() }] }
}

/** @returns the ring with one more version lying ready; the same ring when there is one already */
export function withNextVersion(keys: RingKeys, now: Date): RingKeys {
  if (nextVersion(keys)) return keys
  if (keys.current >= MOST_RING_VERSIONS) throw new Error('the key ring has had all the versions that values can name')
  return { ...keys, versions: [...keys.versions, makeVersion(keys.current + 1, now)] }
}

/** @returns the version that lies ready, if there is one */
export function nextVersion({ current, versions }: RingKeys): RingVersion | undefined {
  return versions.find(({ id }) => id > current)
}

/** @returns the ring whose new values are made under the version that lay ready */
export function withNextInUse(keys: RingKeys, now: Date): RingKeys {
  const next = nextVersion(keys)
  if (!next) throw new Error('no version lies ready')
  const used = { ...next, usedFrom: now.toISOString() }
  return { current: next.id, versions: keys.versions.map((one) => (one.id === next.id ? used : one)) }
}

/** @returns the ring without these versions, which must be older than the current one */
export function withoutVersions(keys: RingKeys, ids: readonly number[]): RingKeys {
  return { ...keys, versions: keys.versions.filter(({ id }) => id >= keys.current || !ids.includes(id)) }
}

function makeVersion(id: number, now: Date): RingVersion {
  const key = () => randomBytes(32).toString('base64url')
  return { id, pepper: key(), atRest: key(), cookie: key(), madeAt: now.toISOString() }
}

const key = z.string().regex(/^[\w-]{43}$/)
const versions = z.object({
  current: z.int(),
  versions: z.array(
    z.object({
      id: z.int(),
      pepper: key,
      atRest: key,
      cookie: key,
      madeAt: z.string(),
      usedFrom: z.string().optional(),
    }),
  ),
})
// How a ring was written before it had versions.
const single = z
  .object({ version: z.literal(1), pepper: key, atRest: key, cookies: z.tuple([key]) })
  .transform(({ pepper, atRest, cookies: [cookie] }): RingKeys => {
    const long = new Date(0).toISOString()
    return { current: 1, versions: [{ id: 1, pepper, atRest, cookie, madeAt: long, usedFrom: long }] }
  })

/** @returns the keys that a JSON text holds @throws Error when it is no ring */
export function parseRingKeys(text: string): RingKeys {
  return z.union([versions, single]).parse(JSON.parse(text))
}
