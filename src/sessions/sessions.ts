// Login sessions of browsers. The cookie's value is kept as a keyed hash; the `uid` is a name that stays the same when a
// login changes the cookie's value, so one session may briefly have several values.
import { sql } from 'kysely'
import type { Db, UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import { WHO_SIGNS_IN } from './interactions.ts'

interface Authorization {
  readonly grantId?: string
  readonly persistsLogout?: boolean
}

export type SessionPayload = Record<string, unknown> & { uid: string; accountId?: string }

export interface EndedSession {
  readonly accountId?: string
  /** grants that end with it: those of clients that do not stay connected */
  readonly grants: readonly string[]
}

export interface SessionFacts {
  readonly uid: string
  readonly signedInAt?: Date
  readonly expiresAt: Date
  /** ids of the clients that were authorized in it */
  readonly clients: readonly string[]
}

/** A session whose grants are about to change. */
export interface HeldSession {
  readonly accountId?: string
  /** of the account, under which the session began */
  readonly epoch?: string
  /** ids, by client */
  readonly grants: Readonly<Record<string, string>>
}

export interface Sessions {
  /**
   * Saves a session under a value, unless all that would change is its end, by less than a minute.
   * @returns false when it was ended since it was read; then it stays so
   */
  save(id: string, payload: SessionPayload, expiresAt: Date): Promise<boolean>
  /** @returns the session of a value, with the authorizations that it has under its other values */
  find(id: string): Promise<SessionPayload | undefined>
  findByUid(uid: string): Promise<SessionPayload | undefined>
  /**
   * Holds a session for the rest of the unit of work: nobody else saves or ends it meanwhile, nor gives it another grant.
   * @returns what it is by now; undefined when it was never saved
   */
  hold(uid: string): Promise<HeldSession | 'ended' | undefined>
  /** Notes in a session that is held which grant a client has in it. */
  noteGrant(uid: string, clientId: string, grantId: string): Promise<void>
  /** Ends one value of a session, as when a login replaces it. */
  destroy(id: string): Promise<void>
  /** Ends a session under all its values, by its name. @returns what ended with it; undefined when there is no such session */
  endByUid(uid: string): Promise<EndedSession | undefined>
  /** @returns the live sessions of an account, the newest first */
  listOf(accountId: string): Promise<readonly SessionFacts[]>
  /**
   * Ends every sign-in of an account on its way to becoming a session, in the unit of work that has begun a new epoch of the
   * account: sessions, however many, are over by that.
   */
  endAll(accountId: string): Promise<void>
  /** The same for all accounts. */
  endSignIns(): Promise<void>
}

// An ended session keeps its row, emptied, until it would have expired: a request that read it before must not save it anew.
const ENDED = sql<string>`'{}'::jsonb`
const EMPTIED = { account_id: null, payload: ENDED } as const
// What was a value of a session keeps its row for a while: a session must not lose the epoch that it began under.
const REPLACED = sql<string>`'{"replaced": true}'::jsonb`

/** Seconds: an end that moves by less is left where it is. */
const TOUCH_AFTER = 60
/** what is different each time that a session is saved; authorizations are looked at apart */
const MOVING = sql<string[]>`'{exp,iat,authorizations}'::text[]`

/** @returns the store of sessions */
export function createSessions({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): Sessions {
  const key = (id: string) => ring.handle('session', id)

  /** Saving and ending one session wait for each other, for as long as their units of work last. */
  const lock = (db: Db, uid: string) =>
    sql`select pg_advisory_xact_lock(hashtextextended(${`session ${uid}`}, 0))`.execute(db)

  const signIns = async () => (await unit.write()).deleteFrom('interactions')

  const live = async () => {
    const db = await unit.read()
    return db
      .selectFrom('sessions')
      .leftJoin('accounts', 'accounts.epoch', 'sessions.account_epoch')
      .where('sessions.expires_at', '>', now())
      .where('sessions.payload', 'not in', [ENDED, REPLACED])
      .where((eb) =>
        eb.or([
          eb('sessions.account_id', 'is', null),
          eb.and([eb('accounts.id', 'is not', null), eb('accounts.disabled_at', 'is', null)]),
        ]),
      )
  }

  const findByUid: Sessions['findByUid'] = async (uid) => {
    const query = (await live()).select('sessions.payload').where('uid', '=', uid)
    const rows = await query.orderBy('sessions.expires_at').execute()
    return merge(rows, rows.at(-1))
  }

  /** Many tabs at once that have nothing new to say need not wait for each other, nor does anybody for their connections. */
  async function isSaved(id: string, payload: SessionPayload, expiresAt: Date): Promise<boolean> {
    const authorizations = JSON.stringify(payload.authorizations ?? {})
    const row = await (await live())
      .select('uid')
      .where('id_hash', '=', key(id))
      .where('expires_at', '>', sql<Date>`${expiresAt}::timestamptz - make_interval(secs => ${TOUCH_AFTER})`)
      .where(sql`payload - ${MOVING}`, '=', sql`${JSON.stringify(payload)}::jsonb - ${MOVING}`)
      .where(sql`coalesce(payload -> 'authorizations', '{}')`, '@>', sql`${authorizations}::jsonb`)
      .executeTakeFirst()
    return row !== undefined
  }

  return {
    async save(id, payload, expiresAt) {
      if (await isSaved(id, payload, expiresAt)) return true
      return unit.run(async () => {
        const db = await unit.write()
        await lock(db, payload.uid)
        // Two tabs may save the same session at once, each knowing only its own client: for the same account their
        // authorizations are merged, client by client, instead of the later one winning. What a tab knows of the other's
        // client may be an entry that has no grant yet.
        // The epoch is that of the session's other values: only a new session begins under the one of the moment, and one
        // whose epoch is over is not saved.
        const accountId = payload.accountId ?? null
        const result = await sql`insert into sessions (id_hash, uid, account_id, account_epoch, payload, expires_at)
          select ${key(id)}, ${payload.uid}, ${accountId}::text,
            coalesce(
              (select account_epoch from sessions where uid = ${payload.uid} and account_id = ${accountId} limit 1),
              (select epoch from accounts where id = ${accountId})),
            ${JSON.stringify(payload)}::jsonb, ${expiresAt}::timestamptz
          where not exists (select from sessions where uid = ${payload.uid} and payload = ${ENDED})
            and not exists (
              select from sessions left join accounts on accounts.epoch = account_epoch
              where uid = ${payload.uid} and account_id = ${accountId} and accounts.id is null)
          on conflict (id_hash) do update set
            uid = excluded.uid, account_id = excluded.account_id, expires_at = excluded.expires_at,
            account_epoch = excluded.account_epoch,
            payload = case when sessions.account_id = excluded.account_id then excluded.payload || jsonb_build_object(
                'authorizations', (
                  select coalesce(jsonb_object_agg(key, coalesce(kept.value, '{}') || coalesce(added.value, '{}')), '{}')
                  from jsonb_each(sessions.payload -> 'authorizations') as kept
                    full join jsonb_each(excluded.payload -> 'authorizations') as added using (key)))
              else excluded.payload end`.execute(db)
        return result.numAffectedRows === 1n
      })
    },

    async find(id) {
      const rows = await (await live())
        .innerJoin('sessions as own', 'own.uid', 'sessions.uid')
        .where('own.id_hash', '=', key(id))
        .select(['sessions.id_hash', 'sessions.payload'])
        .execute()
      return merge(
        rows,
        rows.find((row) => row.id_hash.equals(key(id))),
      )
    },

    findByUid,

    async hold(uid) {
      const db = await unit.write()
      await lock(db, uid)
      const query = (await live()).select(['sessions.payload', 'account_epoch']).where('uid', '=', uid)
      const rows = await query.orderBy('sessions.expires_at').execute()
      const session = merge(rows, rows.at(-1))
      if (!session) {
        const any = await db.selectFrom('sessions').select('uid').where('uid', '=', uid).executeTakeFirst()
        return any && 'ended'
      }
      const { accountId } = session
      const epoch = rows.at(-1)?.account_epoch ?? undefined
      const grants = Object.entries(session.authorizations as Record<string, Authorization>).flatMap(
        ([client, { grantId }]) => (grantId ? [[client, grantId]] : []),
      )
      return { accountId, epoch, grants: Object.fromEntries(grants) }
    },

    async noteGrant(uid, clientId, grantId) {
      const db = await unit.write()
      const all = sql`coalesce(payload -> 'authorizations', '{}')`
      await sql`update sessions set payload = payload || jsonb_build_object('authorizations', ${all} || jsonb_build_object(
          ${clientId}::text, coalesce(${all} -> ${clientId}::text, '{}') || jsonb_build_object('grantId', ${grantId}::text)))
        where uid = ${uid} and payload not in (${ENDED}, ${REPLACED})`.execute(db)
    },

    destroy: (id) =>
      unit.run(async () => {
        const db = await unit.write()
        const row = await db.selectFrom('sessions').select('uid').where('id_hash', '=', key(id)).executeTakeFirst()
        if (!row) return
        await lock(db, row.uid)
        await db
          .updateTable('sessions')
          .set({ payload: REPLACED, expires_at: now() })
          .where('id_hash', '=', key(id))
          .where('payload', '<>', ENDED)
          .execute()
      }),

    endByUid: (uid) =>
      unit.run(async () => {
        const db = await unit.write()
        await lock(db, uid)
        const session = await findByUid(uid)
        if (!session) return undefined
        await db.updateTable('sessions').set(EMPTIED).where('uid', '=', uid).execute()
        const entries = Object.values((session.authorizations ?? {}) as Record<string, Authorization>)
        const grants = entries.flatMap(({ grantId, persistsLogout }) => (grantId && !persistsLogout ? [grantId] : []))
        return { accountId: session.accountId, grants }
      }),

    async listOf(accountId) {
      const query = (await live()).select(['uid', 'sessions.expires_at', 'payload']).where('account_id', '=', accountId)
      const rows = await query.distinctOn('uid').orderBy('uid').orderBy('sessions.expires_at', 'desc').execute()
      return rows.map(({ uid, expires_at, payload }) => {
        const { loginTs, authorizations } = payload as { loginTs?: number; authorizations?: object }
        return {
          uid,
          ...(loginTs !== undefined && { signedInAt: new Date(loginTs * 1000) }),
          expiresAt: expires_at,
          clients: Object.keys(authorizations ?? {}).sort(),
        }
      })
    },

    // Who has taken one already held the account for it, and was waited for: its session has the epoch that is over.
    async endAll(accountId) {
      await (await signIns()).where(WHO_SIGNS_IN, '=', accountId).execute()
    },
    async endSignIns() {
      await (await signIns()).where(WHO_SIGNS_IN, 'is not', null).execute()
    },
  }
}

/** One session may have two values for a while, after two logins in two tabs; it is known to every client of either. */
function merge(rows: readonly { payload: object }[], chosen: { payload: object } | undefined) {
  if (!chosen) return undefined
  const session = chosen.payload as SessionPayload
  const same = rows
    .map((row) => row.payload as SessionPayload)
    .filter(({ accountId }) => accountId === session.accountId)
  const authorizations: Record<string, object> = {}
  for (const one of [...same, session]) {
    for (const [client, entry] of Object.entries(one.authorizations ?? {})) {
      authorizations[client] = { ...authorizations[client], ...entry }
    }
  }
  return { ...session, authorizations }
}
