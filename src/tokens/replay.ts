// Values that may be seen once, such as the `jti` of a client assertion (RFC 7523 section 3). Insert-only: of two requests
// that bring the same value at the same time, exactly one inserts it. Others made these values and send them for all to see:
// they are hashed without the ring, so that no change of its keys makes one new again.
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'

export interface Replays {
  /**
   * @param issuer who made the value, for example a client id
   * @param value the value itself
   * @param times `madeAt`: when it was made, at the earliest; `expiresAt`: until when a repetition must be recognised
   * @returns true for the first to bring it, also if its request is refused; false for every other, and for what may have been
   *   brought to a primary that this one has followed. A request that fails has brought nothing
   */
  firstUse(issuer: string, value: string, times: { madeAt: Date; expiresAt: Date }): Promise<boolean>
}

/** @returns the replay store */
export function createReplays({ unit }: { unit: UnitOfWork }): Replays {
  return {
    async firstUse(issuer, value, { madeAt, expiresAt }) {
      const db = await unit.write()
      const result = await sql`insert into replays (key_hash, expires_at)
        select ${keyOf(issuer, value)}::bytea, ${expiresAt}::timestamptz
        where not exists (select from primary_met where id = 1 and promoted_at > ${madeAt})
        on conflict (key_hash) do nothing`.execute(db)
      if (result.numAffectedRows !== 1n) return false
      unit.keep()
      return true
    },
  }
}

function keyOf(issuer: string, value: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([issuer, value]))
    .digest()
    .subarray(0, 16)
}
