// Single use of a row that is marked and kept, so that who comes later is told from who comes with nothing.
import { inTurn, myTurn } from './in-turn.ts'
import type { Db } from './unit-of-work.ts'

/**
 * Marks a row used. Until the transaction of `db` ends nothing is decided, and others wait.
 * @param key the row's `id_hash`
 * @returns false when it was used before, also by a request that ran at the same time, or is gone
 * @throws an outage with code 08006 when who is at it does not end
 */
export function consumeOnce(
  db: Db,
  table: 'authorization_codes' | 'pushed_requests',
  key: Buffer,
  at: Date,
): Promise<boolean> {
  return inTurn(async () => {
    const result = await db
      .updateTable(table)
      .set({ consumed_at: at })
      .where('id_hash', '=', key)
      .where('consumed_at', 'is', null)
      .where(myTurn(key))
      .executeTakeFirst()
    if (result.numUpdatedRows === 1n) return true
    const row = await db.selectFrom(table).select('consumed_at').where('id_hash', '=', key).executeTakeFirst()
    return row?.consumed_at === null ? 'undecided' : false
  })
}
