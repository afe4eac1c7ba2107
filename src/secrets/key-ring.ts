// The key ring: random keys made at first start and kept, wrapped under GATEHOUSE_SECRET, in one row. Everything that is
// hashed or sealed at rest hangs on it, so that a dump of the database alone opens nothing.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { markId, ringVersionOf } from '../vocabulary/ring-mark.ts'
import type { RingKeys, RingVersion } from './ring-keys.ts'
import { decrypt, encrypt } from './seal.ts'

/**
 * The ring's operations. A value that we make carries the version it is hashed under, and is found by one hash. For a value
 * that cannot carry it there are `hashes` and `handles`: the stored one is among them.
 */
export interface KeyRing {
  /** the version that makes new values */
  readonly version: number
  /** Marks a new id (43 base64url characters) with the version that it will be hashed under. */
  mark(id: string): string
  /** @returns whether a value's version is in the ring; what belongs to a dropped one has ended */
  knows(value: string): boolean
  /**
   * The lookup hash of a secret that we made: HMAC-SHA-256 under the pepper of the version that it carries.
   * @param purpose keeps the hashes of different kinds apart, for example `client-secret`
   * @returns 32 bytes
   */
  keyedHash(purpose: string, value: string): Buffer
  /** The first 16 bytes of `keyedHash`: enough for a row key, 128 bits that nobody without the ring can aim at. */
  handle(purpose: string, value: string): Buffer
  /** @returns the 32 bytes under the version of new values, for a value that cannot carry it */
  newHash(purpose: string, value: string): Buffer
  /** @returns the hash under every version by its number, that of new values first */
  hashes(purpose: string, value: string): ReadonlyMap<number, Buffer>
  /** @returns the first 16 bytes of each of `hashes` */
  handles(purpose: string, value: string): readonly [Buffer, ...Buffer[]]
  /** Encrypts with AES-256-GCM under the at-rest key; `purpose` is bound to the result. */
  seal(purpose: string, plain: Buffer): Buffer
  /** @throws Error when the value was sealed for another purpose, under another ring, or was changed */
  open(purpose: string, sealed: Buffer): Buffer
  /** @returns the value sealed for new, or undefined when that was done under the version of new values already */
  reseal(purpose: string, sealed: Buffer): Buffer | undefined
  /** @returns keys that sign cookies, that of new ones first */
  cookieKeys(): readonly string[]
  /** Says that a value or cookie is of no version here. @throws when this process may not know of the newest yet */
  missed(): void
}

/** A ring whose keys can be replaced while it is in use. */
export interface HeldRing extends KeyRing {
  readonly keys: RingKeys
  /** Takes the keys of a ring that was changed. */
  take(keys: RingKeys): void
  /** @param check is asked by `missed` */
  onMissed(check: () => void): void
}

interface Version {
  readonly id: number
  readonly pepper: Buffer
  readonly atRest: Buffer
  readonly cookie: string
}

/** @returns the ring's operations over its keys */
export function createKeyRing(keys: RingKeys): HeldRing {
  let held = keys
  /** that of new values first, then from the newest to the oldest */
  let versions = inOrder(keys)
  let check = () => {}
  const newest = () => versions[0]!

  const hash = ({ pepper }: Version, purpose: string, value: string) =>
    createHmac('sha256', pepper).update(`${purpose}\0`).update(value).digest()

  const versionOf = (value: string): Version => {
    const id = ringVersionOf(value)
    const version = versions.find((one) => one.id === id)
    if (version) return version
    // What has no mark is often no value of ours at all, and then any one version will do.
    if (id !== 1) check()
    return versions.at(-1)!
  }
  const keyedHash = (purpose: string, value: string) => hash(versionOf(value), purpose, value)
  const hashes = (purpose: string, value: string) =>
    new Map(versions.map((version) => [version.id, hash(version, purpose, value)]))

  const open = (purpose: string, sealed: Buffer) => {
    for (const version of versions) {
      const plain = decrypt(version.atRest, purpose, sealed)
      if (plain) return { plain, version: version.id }
    }
    check()
    throw new Error(`what was sealed as "${purpose}" does not open`)
  }

  return {
    get version() {
      return held.current
    },
    get keys() {
      return held
    },
    mark: (id) => markId(held.current, id),
    knows: (value) => versions.some(({ id }) => id === ringVersionOf(value)),
    keyedHash,
    handle: (purpose, value) => keyedHash(purpose, value).subarray(0, 16),
    newHash: (purpose, value) => hash(newest(), purpose, value),
    hashes,
    handles(purpose, value) {
      const [first, ...others] = [...hashes(purpose, value).values()].map((one) => one.subarray(0, 16))
      return [first!, ...others]
    },
    seal: (purpose, plain) => encrypt(newest().atRest, purpose, plain),
    open: (purpose, sealed) => open(purpose, sealed).plain,
    reseal(purpose, sealed) {
      const { plain, version } = open(purpose, sealed)
      return version === held.current ? undefined : encrypt(newest().atRest, purpose, plain)
    },
    cookieKeys: () => versions.map(({ cookie }) => cookie),
    missed: () => check(),
    take(next) {
      versions = inOrder(next)
      held = next
    },
    onMissed(next) {
      check = next
    },
  }
}

function inOrder({ current, versions }: RingKeys): readonly Version[] {
  const bytes = (text: string) => Buffer.from(text, 'base64url')
  const rank = ({ id }: RingVersion) => (id === current ? Number.POSITIVE_INFINITY : id)
  return [...versions]
    .sort((a, b) => (rank(a) < rank(b) ? 1 : -1))
    .map(({ id, pepper, atRest, cookie }) => ({ id, pepper: bytes(pepper), atRest: bytes(atRest), cookie }))
}

/** @returns whether two hashes are equal, in a time that does not depend on where they differ */
export function sameHash(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
