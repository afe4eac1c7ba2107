// Remembered consent: the scopes that an account has once allowed a client. A decision outlives the session it was made in;
// the grant that carries it into tokens is made afresh in each session, so that one sign-out does not end every device.
import { sql } from 'kysely'
import type { Db, UnitOfWork } from '../db/unit-of-work.ts'

/** Allowed scopes: `openid` for scopes of the server itself, `resources` by resource id. */
export interface AllowedScopes {
  readonly openid: readonly string[]
  readonly resources: Readonly<Record<string, readonly string[]>>
}

export interface Consents {
  find(accountId: string, clientId: string): Promise<AllowedScopes | undefined>
  /** The same, and whoever wants to forget it, or to end its account or client, waits for the end of the unit of work. */
  hold(accountId: string, clientId: string): Promise<AllowedScopes | undefined>
  /** Forgets a decision, after whoever is about to add to it. @returns false when there was none */
  forget(accountId: string, clientId: string): Promise<boolean>
  /**
   * Adds to what is remembered; nothing is forgotten.
   * @param epoch of the account, when it was asked
   * @returns false when account or client is gone or disabled, or the account's epoch is another by now
   */
  remember(accountId: string, clientId: string, allowed: AllowedScopes, epoch: string): Promise<boolean>
}

/** @returns the store of remembered consent */
export function createConsents({ unit, now }: { unit: UnitOfWork; now: () => Date }): Consents {
  const select = (db: Db, accountId: string, clientId: string) =>
    db.selectFrom('consents').select('scopes').where('account_id', '=', accountId).where('client_id', '=', clientId)
  const scopesOf = (row: { scopes: unknown } | undefined) => row?.scopes as AllowedScopes | undefined

  /** For as long as the unit of work lasts. Before the row, which may not be there yet. */
  const lock = (db: Db, accountId: string, clientId: string) =>
    sql`select pg_advisory_xact_lock(hashtextextended(${`consent ${accountId} ${clientId}`}, 0))`.execute(db)

  const find: Consents['find'] = async (accountId, clientId) =>
    scopesOf(await select(await unit.read(), accountId, clientId).executeTakeFirst())
  return {
    find,

    async hold(accountId, clientId) {
      const db = await unit.write()
      // In the order in which account or client is removed: first itself, then what was allowed.
      await sql`select from accounts, clients where accounts.id = ${accountId} and clients.id = ${clientId}
        for key share`.execute(db)
      return scopesOf(await select(db, accountId, clientId).forKeyShare().executeTakeFirst())
    },

    async forget(accountId, clientId) {
      const db = await unit.write()
      // Who has read the row, and is about to write it, would bring it back.
      await lock(db, accountId, clientId)
      const mine = db.deleteFrom('consents').where('account_id', '=', accountId).where('client_id', '=', clientId)
      return (await mine.executeTakeFirst()).numDeletedRows === 1n
    },

    remember: (accountId, clientId, allowed, epoch) =>
      unit.run(async () => {
        const db = await unit.write()
        // Two consents of one person to one app at the same time must both be remembered.
        await lock(db, accountId, clientId)
        const scopes = JSON.stringify(union(await find(accountId, clientId), allowed))
        const result = await sql`insert into consents (account_id, client_id, scopes, updated_at)
          select accounts.id, clients.id, ${scopes}::jsonb, ${now()}::timestamptz from accounts, clients
          where accounts.id = ${accountId} and accounts.epoch = ${epoch}::bigint and accounts.disabled_at is null
            and clients.id = ${clientId} and clients.disabled_at is null
          for key share
          on conflict (account_id, client_id) do update set scopes = excluded.scopes, updated_at = excluded.updated_at`.execute(
          db,
        )
        return result.numAffectedRows === 1n
      }),
  }
}

function union(before: AllowedScopes | undefined, added: AllowedScopes): AllowedScopes {
  const resources: Record<string, string[]> = {}
  for (const id of new Set([...Object.keys(before?.resources ?? {}), ...Object.keys(added.resources)])) {
    resources[id] = [...new Set([...(before?.resources[id] ?? []), ...(added.resources[id] ?? [])])]
  }
  return { openid: [...new Set([...(before?.openid ?? []), ...added.openid])], resources }
}
