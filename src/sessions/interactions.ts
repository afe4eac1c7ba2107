// Logins and consents under way. Their id is in a cookie and in the page's address, so it is kept as a keyed hash and cut
// out of what is stored. The engine makes that id, and has no room in it for the ring's version: it is looked for under each.
import { sql } from 'kysely'
import { inTurn, myTurn } from '../db/in-turn.ts'
import type { Db, UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

export interface Interactions {
  save(id: string, payload: object, expiresAt: Date): Promise<void>
  find(id: string): Promise<Record<string, unknown> | undefined>
  /** Finds one whose time is over, too, for a page that offers to start again. */
  findExpired(id: string): Promise<Record<string, unknown> | undefined>
  /**
   * Finds one and holds it for the rest of the unit of work, so that a double click is answered once. Of many at once one has
   * it; the others look on, and have what they see as soon as that is decided.
   */
  lock(
    id: string,
    isDecided: (payload: Record<string, unknown>) => boolean,
  ): Promise<Record<string, unknown> | undefined>
  /** @returns false when it was gone already */
  destroy(id: string): Promise<boolean>
}

/** The account that has just signed in at a page. */
export const WHO_SIGNS_IN = sql<string | null>`payload -> 'result' -> 'login' ->> 'accountId'`

/** Stands for the id in the one address that the engine keeps with an interaction: where the browser comes back to. */
const OWN_ID = '{interaction-id}'

/** @returns the store of interactions */
export function createInteractions({
  unit,
  ring,
  now,
}: {
  unit: UnitOfWork
  ring: KeyRing
  now: () => Date
}): Interactions {
  const keys = (id: string) => ring.handles('interaction', id)
  const select = (db: Db, id: string) =>
    db.selectFrom('interactions').select('payload').where('id_hash', 'in', keys(id))
  const read = (id: string, row: { payload: object } | undefined) => row && exchange(row.payload, OWN_ID, id)

  /**
   * It is my turn, and I hold the account that has signed in there: who ends an account has it before its sign-ins. As a condition
   * of the statement that takes the row, which is touched only where this was found true.
   */
  const isMine = (id: string) => sql<boolean>`case when ${myTurn(keys(id)[0]!)} then coalesce((
      select true from accounts
      where id = (select ${WHO_SIGNS_IN} from interactions where id_hash = any(${keys(id)}::bytea[]) limit 1)
      for key share), true) else false end`

  return {
    async save(id, payload, expiresAt) {
      const text = JSON.stringify(exchange(payload, id, OWN_ID))
      const [key, ...older] = keys(id)
      const db = await unit.write()
      await sql`with changed as (
          update interactions set payload = ${text}::jsonb, expires_at = ${expiresAt}
          where id_hash = any(${older}::bytea[]) returning id_hash)
        insert into interactions (id_hash, payload, expires_at)
        select ${key}, ${text}::jsonb, ${expiresAt}::timestamptz where not exists (select from changed)
        on conflict (id_hash) do update set payload = excluded.payload, expires_at = excluded.expires_at`.execute(db)
    },

    async find(id) {
      const live = select(await unit.read(), id).where('expires_at', '>', now())
      return read(id, await live.executeTakeFirst())
    },

    async findExpired(id) {
      return read(id, await select(await unit.read(), id).executeTakeFirst())
    },

    async lock(id, isDecided) {
      const db = await unit.write()
      const live = select(db, id).where('expires_at', '>', now())
      return inTurn(async () => {
        const mine = await live.where(isMine(id)).forUpdate().executeTakeFirst()
        if (mine) return read(id, mine)
        const seen = read(id, await live.executeTakeFirst())
        return seen && !isDecided(seen) ? 'undecided' : seen
      })
    },

    async destroy(id) {
      const db = await unit.write()
      const mine = db.deleteFrom('interactions').where('id_hash', 'in', keys(id)).where(isMine(id))
      return inTurn(async () => {
        if ((await mine.executeTakeFirst()).numDeletedRows === 1n) return true
        return (await select(db, id).executeTakeFirst()) ? 'undecided' : false
      })
    },
  }
}

/** Never anywhere else: what a client sends may hold the same text, and comes back as it was. */
function exchange(payload: object & { returnTo?: unknown }, from: string, to: string): Record<string, unknown> {
  const { returnTo } = payload
  return { ...payload, ...(typeof returnTo === 'string' && { returnTo: returnTo.replaceAll(from, to) }) }
}
