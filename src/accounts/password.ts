// Hashing of passwords that people choose: argon2id, at the floor that OWASP's Password Storage Cheat Sheet names.
import argon2 from 'argon2'
import type { WorkQueue } from './work-queue.ts'

/** Memory in KiB, passes, lanes. Raising them re-hashes each password at its owner's next sign-in. */
const COST = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const

/** Longest password, in UTF-16 units: far above what people use, and low enough that hashing it costs nothing extra. */
export const LONGEST_PASSWORD = 1024

export interface Passwords {
  /** @returns the encoded hash (PHC string format) */
  hash(password: string): Promise<string>
  /** Takes the same time for a wrong password as for an `encoded` that is undefined. */
  verify(encoded: string | undefined, password: string): Promise<boolean>
  /** @returns whether the hash was made at a lower cost than today's */
  isOutdated(encoded: string): boolean
}

/** @returns password hashing behind a bounded queue */
export function createPasswords(queue: WorkQueue): Passwords {
  // What an unknown account is compared with: a hash of today's cost that no password fits.
  const decoy = queue(() => argon2.hash(crypto.randomUUID(), COST))
  decoy.catch(() => undefined)
  return {
    hash: (password) => queue(() => argon2.hash(prepare(password), COST)),
    async verify(encoded, password) {
      const against = encoded ?? (await decoy)
      const fits = await queue(() => argon2.verify(against, prepare(password)))
      return fits && encoded !== undefined
    },
    isOutdated: (encoded) => argon2.needsRehash(encoded, COST),
  }
}

/** The same password typed on two keyboards is the same text: Unicode NFC (SP 800-63B-4 section 3.1.1.2). Nothing is cut off. */
function prepare(password: string): string {
  return password.normalize('NFC').slice(0, LONGEST_PASSWORD)
}
