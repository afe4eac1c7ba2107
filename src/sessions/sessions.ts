// Login sessions of browsers. The cookie's value is kept as a keyed hash; the `uid` is a name that stays the same when a
// login changes the cookie's value.
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

export type SessionPayload = Record<string, unknown> & { uid: string; accountId?: string }

export interface Sessions {
  save(id: string, payload: SessionPayload, expiresAt: Date): Promise<void>
  find(id: string): Promise<SessionPayload | undefined>
  findByUid(uid: string): Promise<SessionPayload | undefined>
  /** Removes one value of a session, as when a login replaces it. */
  destroy(id: string): Promise<void>
  /** Ends the session under all its values, as at sign-out. */
  end(id: string): Promise<void>
  /** Ends every session of an account. */
  endAll(accountId: string): Promise<void>
}

/** @returns the store of sessions */
export function createSessions({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): Sessions {
  const key = (id: string) => ring.handle('session', id)
  return {
    async save(id, payload, expiresAt) {
      const db = await unit.write()
      // Two tabs may save the same session at once, each knowing only its own client: for the same account their
      // authorizations are merged instead of the later one winning.
      await sql`insert into sessions (id_hash, uid, account_id, payload, expires_at)
        values (${key(id)}, ${payload.uid}, ${payload.accountId ?? null}, ${JSON.stringify(payload)}, ${expiresAt})
        on conflict (id_hash) do update set
          uid = excluded.uid, account_id = excluded.account_id, expires_at = excluded.expires_at,
          payload = case when sessions.account_id = excluded.account_id then excluded.payload || jsonb_build_object(
              'authorizations',
              coalesce(sessions.payload -> 'authorizations', '{}') || coalesce(excluded.payload -> 'authorizations', '{}'))
            else excluded.payload end`.execute(db)
    },

    async find(id) {
      const db = await unit.read()
      const row = await db
        .selectFrom('sessions')
        .select('payload')
        .where('id_hash', '=', key(id))
        .where('expires_at', '>', now())
        .executeTakeFirst()
      return row?.payload as SessionPayload | undefined
    },

    async findByUid(uid) {
      const db = await unit.read()
      const rows = await db
        .selectFrom('sessions')
        .select('payload')
        .where('uid', '=', uid)
        .where('expires_at', '>', now())
        .orderBy('expires_at')
        .execute()
      return merge(rows.map((row) => row.payload as SessionPayload))
    },

    async destroy(id) {
      const db = await unit.write()
      await db.deleteFrom('sessions').where('id_hash', '=', key(id)).execute()
    },

    async end(id) {
      const db = await unit.write()
      await db
        .deleteFrom('sessions')
        .where('uid', 'in', (eb) => eb.selectFrom('sessions').select('uid').where('id_hash', '=', key(id)))
        .execute()
    },

    async endAll(accountId) {
      const db = await unit.write()
      await db.deleteFrom('sessions').where('account_id', '=', accountId).execute()
    },
  }
}

/** One session may briefly have two values, after two logins in two tabs; it is known to every client of either. */
function merge(payloads: readonly SessionPayload[]): SessionPayload | undefined {
  const newest = payloads.at(-1)
  if (!newest) return undefined
  const same = payloads.filter((payload) => payload.accountId === newest.accountId)
  const authorizations = Object.assign({}, ...same.map((payload) => payload.authorizations ?? {}))
  return { ...newest, authorizations }
}
