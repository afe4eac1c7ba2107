// Ends everything at once, for whoever does not know what has come back: a backup, or a standby that lacks the last moments.
import { sql } from 'kysely'
import { LOCKS } from '../db/locks.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { LONGEST_ACCESS_TOKEN_SECONDS } from '../vocabulary/access-token.ts'

/** Rows of one statement: however many people there are, none of them takes long. */
const AT_ONCE = 5000

export interface EndAllParts {
  readonly unit: UnitOfWork
  readonly now: () => Date
  /** Ends every sign-in on its way to becoming a session, once its account has a new epoch. */
  readonly endSignIns: () => Promise<void>
}

export interface EndedAll {
  /** how many there are, whether they had something open or not */
  readonly accounts: number
  readonly clients: number
}

/** Ends every session, grant, code and token, of people and clients, in one unit of work. @param actor as in the audit */
export type EndAll = (actor: string) => Promise<EndedAll>

/** @returns the act */
export function createEndAll({ unit, now, endSignIns }: EndAllParts): EndAll {
  /** Ends those that come after an id. @returns how many, and the last one of them */
  const endSome = async (kind: 'account' | 'client', after: string, actor: string) => {
    const at = now()
    const rows = sql.table(`${kind}s`)
    const expiresAt = new Date(at.getTime() + LONGEST_ACCESS_TOKEN_SECONDS * 1000)
    const db = await unit.write()
    // The digest is that of `keyOfName`. A client's grants go with their accounts, and its own tokens when their time is over:
    // nobody has to walk over the table for each client.
    const done = await sql<{ n: number; last: string | null }>`with before as (
        select id, epoch from ${rows} where id > ${after} order by id limit ${AT_ONCE} for update),
      ended as (update ${rows} as row set epoch = nextval('epochs') from before where row.id = before.id
        returning row.id, before.epoch),
      swept as (insert into ended_epochs (epoch, kind, account_id, ended_at)
        select epoch, ${kind}, id, ${at}::timestamptz from ended where ${kind}::text = 'account'),
      noted as (insert into endings (kind, id_hash, reason, ended_at, expires_at)
        select ${kind}, substring(sha256(convert_to(${kind}, 'UTF8') || '\\x00'::bytea || convert_to(id, 'UTF8')) for 16),
          'revoked', ${at}::timestamptz, ${expiresAt}::timestamptz from ended
        on conflict (kind, id_hash) do update
          set reason = excluded.reason, ended_at = excluded.ended_at, expires_at = excluded.expires_at),
      audited as (insert into audit_entries (at, kind, actor, subject, detail)
        select ${at}::timestamptz, ${`${kind}.revoked`}, ${actor}, id, '{"all": true}'::jsonb from ended)
      select count(*)::int as n, max(id) as last from ended`.execute(db)
    return done.rows[0]!
  }
  const end = async (kind: 'account' | 'client', actor: string) => {
    let ended = 0
    for (let after: string | null = ''; after !== null; ) {
      const { n, last } = await endSome(kind, after, actor)
      ended += n
      after = last
    }
    return ended
  }
  return (actor) =>
    unit.run(async () => {
      // A document that is applied comes to clients first, and to people after that.
      await sql`select pg_advisory_xact_lock(${LOCKS.many})`.execute(await unit.write())
      const accounts = await end('account', actor)
      await endSignIns()
      return { accounts, clients: await end('client', actor) }
    })
}
