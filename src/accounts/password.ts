// Hashing of passwords that people choose: argon2id, at the floor that OWASP's Password Storage Cheat Sheet names.
import { randomBytes } from 'node:crypto'
import argon2 from 'argon2'
import type { WorkQueue } from './work-queue.ts'

/** Memory in KiB, passes, lanes. Raising them re-hashes each password at its owner's next sign-in. */
const COST = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const

/** Longest password, in UTF-16 units: far above what people use, and low enough that hashing it costs nothing extra. */
export const LONGEST_PASSWORD = 1024

/** Longest text of a form's password field: room for what is too long, so that its owner hears why it is refused. */
export const LONGEST_TYPED = 4 * LONGEST_PASSWORD

export interface Passwords {
  /**
   * @returns the encoded hash (PHC string format)
   * @throws RangeError for a password longer than `LONGEST_PASSWORD`: the policy has refused it before
   */
  hash(password: string): Promise<string>
  /** Takes the same time for a wrong password, one that is too long, and an `encoded` that is undefined. */
  verify(encoded: string | undefined, password: string): Promise<boolean>
  /** @returns whether the hash was made at a lower cost than today's; one of a higher cost stays */
  isOutdated(encoded: string): boolean
}

/** @returns password hashing behind a bounded queue */
export function createPasswords(queue: WorkQueue): Passwords {
  const decoy = makeDecoy()
  return {
    async hash(password) {
      const text = prepare(password)
      if (text.length > LONGEST_PASSWORD) throw new RangeError('password too long')
      return queue(() => argon2.hash(text, COST))
    },

    async verify(encoded, password) {
      const text = prepare(password)
      const against = text.length > LONGEST_PASSWORD ? decoy : (encoded ?? decoy)
      const fits = await queue(() => argon2.verify(against, text))
      return fits && against !== decoy
    },

    isOutdated(encoded) {
      // Parameter by parameter: the package writes m, p, t, where the reference implementation writes m, t, p.
      const [, costs] = /^\$argon2id\$v=19\$([^$]+)\$/.exec(encoded) ?? []
      const cost = (name: string) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(costs ?? '')?.[1])
      return !(cost('m') >= COST.memoryCost && cost('t') >= COST.timeCost)
    },
  }
}

/** What an unknown account is compared with: a hash of today's cost that was drawn, not computed, so no password is known to fit. */
function makeDecoy(): string {
  const random = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '')
  const { memoryCost, timeCost, parallelism } = COST
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${random(16)}$${random(32)}`
}

/** The same password typed on two keyboards is the same text: Unicode NFC (SP 800-63B-4 section 3.1.1.2). Nothing is cut off. */
function prepare(password: string): string {
  return password.normalize('NFC')
}
