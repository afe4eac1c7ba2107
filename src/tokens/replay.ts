// Values that may be seen once, such as the `jti` of a client assertion (RFC 7523 section 3). Insert-only: of two requests
// that bring the same value at the same time, exactly one inserts it. Others made these values and send them for all to see:
// they are hashed without the ring, so that no change of its keys makes one new again.
import { createHash } from 'node:crypto'
import type { Db, UnitOfWork } from '../db/unit-of-work.ts'

export interface Replays {
  /**
   * @param issuer who made the value, for example a client id
   * @param value the value itself
   * @param expiresAt until when a repetition must be recognised
   * @returns true for the first to bring it, whatever its request is told, false for every other
   */
  firstUse(issuer: string, value: string, expiresAt: Date): Promise<boolean>
}

/** @returns the replay store */
export function createReplays({ unit }: { unit: UnitOfWork }): Replays {
  return {
    async firstUse(issuer, value, expiresAt) {
      const note = async (db: Db) => {
        const result = await db
          .insertInto('replays')
          .values({ key_hash: keyOf(issuer, value), expires_at: expiresAt })
          .onConflict((conflict) => conflict.column('key_hash').doNothing())
          .executeTakeFirst()
        return (result.numInsertedOrUpdatedRows ?? 0n) === 1n
      }
      const first = await note(await unit.write())
      if (first) unit.evenIfRefused(note)
      return first
    },
  }
}

function keyOf(issuer: string, value: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([issuer, value]))
    .digest()
    .subarray(0, 16)
}
