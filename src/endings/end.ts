// The one log of trust that ended before its time. Everything that ends trust writes here; introspection reads it on each
// use, so an ending is effective on every node at commit.
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'

/** What can end: one access token, a refresh family with its access tokens, a grant with all that hangs on it. */
export type EndingKind = 'token' | 'family' | 'grant'

export interface Ending {
  readonly kind: EndingKind
  /** 16 bytes: the keyed handle of the token's `jti`, or the row key of family or grant */
  readonly key: Buffer
  readonly reason: string
  /** until when a token that hangs on it could still be valid by itself */
  readonly expiresAt: Date
}

export interface Endings {
  /** Notes an ending; a second one of the same thing changes nothing. @returns whether it was the first */
  end(ending: Ending): Promise<boolean>
  /** @returns whether any of these has ended */
  anyEnded(things: readonly { kind: EndingKind; key: Buffer }[]): Promise<boolean>
}

/** @returns the log of endings */
export function createEndings({ unit, now }: { unit: UnitOfWork; now: () => Date }): Endings {
  return {
    async end({ kind, key, reason, expiresAt }) {
      const db = await unit.write()
      const result = await db
        .insertInto('endings')
        .values({ kind, id_hash: key, reason, ended_at: now(), expires_at: expiresAt })
        .onConflict((conflict) => conflict.columns(['kind', 'id_hash']).doNothing())
        .executeTakeFirst()
      return (result.numInsertedOrUpdatedRows ?? 0n) === 1n
    },

    async anyEnded(things) {
      if (things.length === 0) return false
      const db = await unit.read()
      const kinds = things.map((thing) => thing.kind)
      const keys = things.map((thing) => thing.key)
      const found = await sql<{ ended: boolean }>`select exists (
        select from endings where (kind, id_hash) in (select * from unnest(${kinds}::text[], ${keys}::bytea[]))
      ) as ended`.execute(db)
      return found.rows[0]?.ended === true
    },
  }
}
