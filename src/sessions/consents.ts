// Remembered consent: the scopes that an account has once allowed a client. A decision outlives the session it was made in;
// the grant that carries it into tokens is made afresh in each session, so that one sign-out does not end every device.
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'

/** Allowed scopes: `openid` for scopes of the server itself, `resources` by resource id. */
export interface AllowedScopes {
  readonly openid: readonly string[]
  readonly resources: Readonly<Record<string, readonly string[]>>
}

export interface Consents {
  find(accountId: string, clientId: string): Promise<AllowedScopes | undefined>
  /** Forgets a decision. @returns false when there was none */
  forget(accountId: string, clientId: string): Promise<boolean>
  /** Adds to what is remembered; nothing is forgotten. */
  remember(accountId: string, clientId: string, allowed: AllowedScopes): Promise<void>
}

/** @returns the store of remembered consent */
export function createConsents({ unit, now }: { unit: UnitOfWork; now: () => Date }): Consents {
  const find: Consents['find'] = async (accountId, clientId) => {
    const db = await unit.read()
    const row = await db
      .selectFrom('consents')
      .select('scopes')
      .where('account_id', '=', accountId)
      .where('client_id', '=', clientId)
      .executeTakeFirst()
    return row?.scopes as AllowedScopes | undefined
  }
  return {
    find,

    async forget(accountId, clientId) {
      const db = await unit.write()
      const mine = db.deleteFrom('consents').where('account_id', '=', accountId).where('client_id', '=', clientId)
      return (await mine.executeTakeFirst()).numDeletedRows === 1n
    },

    async remember(accountId, clientId, allowed) {
      await unit.run(async () => {
        const db = await unit.write()
        // Two consents of one person to one app at the same time must both be remembered.
        await sql`select pg_advisory_xact_lock(hashtextextended(${`consent ${accountId} ${clientId}`}, 0))`.execute(db)
        const scopes = JSON.stringify(union(await find(accountId, clientId), allowed))
        await db
          .insertInto('consents')
          .values({ account_id: accountId, client_id: clientId, scopes, updated_at: now() })
          .onConflict((conflict) =>
            conflict.columns(['account_id', 'client_id']).doUpdateSet({ scopes, updated_at: now() }),
          )
          .execute()
      })
    },
  }
}

function union(before: AllowedScopes | undefined, added: AllowedScopes): AllowedScopes {
  const resources: Record<string, string[]> = {}
  for (const id of new Set([...Object.keys(before?.resources ?? {}), ...Object.keys(added.resources)])) {
    resources[id] = [...new Set([...(before?.resources[id] ?? []), ...(added.resources[id] ?? [])])]
  }
  return { openid: [...new Set([...(before?.openid ?? []), ...added.openid])], resources }
}
