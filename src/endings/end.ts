// The one log of trust that ended before its time. Everything that ends trust writes here; introspection reads it on each
// use, so an ending is effective on every node at commit.
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { LONGEST_ACCESS_TOKEN_SECONDS } from '../vocabulary/access-token.ts'

/**
 * What can end: one access token, a refresh family with its access tokens, a grant with all that hangs on it, a login session,
 * all that an account or a client has open, a signing key.
 */
export type EndingKind = 'token' | 'family' | 'grant' | 'session' | 'account' | 'client' | 'key'

export interface Ending {
  readonly kind: EndingKind
  /** 16 bytes: the row key of family or grant, the handle of a token's `jti`, or a digest of another thing's name */
  readonly key: Buffer
  readonly reason: string
  /** until when a token that hangs on it could still be valid by itself; if not given, the longest that any can */
  readonly expiresAt?: Date
}

export interface Endings {
  /** Notes an ending; a second one of the same thing changes nothing. @returns whether it was the first */
  end(ending: Ending): Promise<boolean>
  /** Notes the ending of a thing that is known by a name, such as a session's uid. */
  endNamed(kind: 'session' | 'key', name: string, reason: string): Promise<boolean>
  /**
   * Notes that all which an account or a client had open is over; unlike other endings this happens again and again.
   * @param epoch the one that is over: what was made under it is removed later, in the background
   */
  endEpoch(kind: 'account' | 'client', id: string, epoch: string, reason: string): Promise<void>
  /** @returns whether any of these has ended */
  anyEnded(things: readonly { kind: EndingKind; key: Buffer }[]): Promise<boolean>
}

/** @returns the log of endings */
export function createEndings({ unit, now }: { unit: UnitOfWork; now: () => Date }): Endings {
  const afterLongestToken = () => new Date(now().getTime() + LONGEST_ACCESS_TOKEN_SECONDS * 1000)
  const end: Endings['end'] = async ({ kind, key, reason, expiresAt = afterLongestToken() }) => {
    const db = await unit.write()
    const result = await db
      .insertInto('endings')
      .values({ kind, id_hash: key, reason, ended_at: now(), expires_at: expiresAt })
      .onConflict((conflict) => conflict.columns(['kind', 'id_hash']).doNothing())
      .executeTakeFirst()
    return (result.numInsertedOrUpdatedRows ?? 0n) === 1n
  }
  return {
    end,

    endNamed: (kind, name, reason) => end({ kind, key: keyOfName(kind, name), reason }),

    async endEpoch(kind, id, epoch, reason) {
      const db = await unit.write()
      const ending = { reason, ended_at: now(), expires_at: afterLongestToken() }
      await db
        .insertInto('endings')
        .values({ kind, id_hash: keyOfName(kind, id), ...ending })
        .onConflict((conflict) => conflict.columns(['kind', 'id_hash']).doUpdateSet(ending))
        .execute()
      const owner = kind === 'account' ? id : null
      await db.insertInto('ended_epochs').values({ epoch, kind, account_id: owner, ended_at: now() }).execute()
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

/** Names are no secrets, and outlive the versions of the key ring: their digests have no key. */
export function keyOfName(kind: EndingKind, name: string): Buffer {
  return createHash('sha256').update(`${kind}\0${name}`).digest().subarray(0, 16)
}
