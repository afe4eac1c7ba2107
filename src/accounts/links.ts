// One-time links: set a password, or make the first administrator. Only the keyed hash of a link's token is kept; looking at
// a link does not use it up (mail scanners look), and of many who use it at once one succeeds.
import { randomBytes } from 'node:crypto'
import { type ExpressionBuilder, sql } from 'kysely'
import { inTurn, myTurn } from '../db/in-turn.ts'
import { LOCKS } from '../db/locks.ts'
import type { Schema } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

const LIFETIME_SECONDS = { 'admin-setup': 60 * 60, 'set-password': 24 * 60 * 60 } as const
export type LinkPurpose = keyof typeof LIFETIME_SECONDS

export interface OneTimeToken {
  /** 43 base64url characters, 256 bits */
  readonly token: string
  readonly expiresAt: Date
}

export interface Links {
  /** Makes a link; older ones of the same account, or older ones for set-up, stop working. */
  make(purpose: LinkPurpose, accountId?: string): Promise<OneTimeToken>
  /** @returns whose link it is, if it can still be used; nothing is used up */
  inspect(purpose: LinkPurpose, token: string): Promise<{ accountId?: string } | undefined>
  /** Uses a link up, inside the unit of work of what it is used for. @returns false when it cannot be used any more */
  use(purpose: LinkPurpose, token: string): Promise<boolean>
  /** Makes every unused link of an account unusable, as after its password was set. */
  endAll(accountId: string): Promise<void>
  /**
   * Waits for one's turn to use a link, or to make an administrator by one; it lasts as long as the unit of work.
   * @returns false when the link was used meanwhile, or `isOver` says that there is nothing left to do
   */
  takeTurn(purpose: LinkPurpose, token: string, isOver?: () => Promise<boolean>): Promise<boolean>
}

/** @returns the store of one-time links */
export function createLinks({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): Links {
  const usable = (purpose: LinkPurpose, token: string) => (eb: ExpressionBuilder<Schema, 'account_links'>) =>
    eb.and([
      eb('token_hash', 'in', [...ring.hashes('account-link', token).values()]),
      eb('purpose', '=', purpose),
      eb('used_at', 'is', null),
      eb('expires_at', '>', now()),
    ])

  /** Waits until nobody else makes a link of this kind, so that the newest is the only one. */
  const lockMaking = async (accountId?: string) => {
    if (accountId === undefined) return lockSetup()
    const db = await unit.write()
    await db.selectFrom('accounts').select('id').where('id', '=', accountId).forNoKeyUpdate().execute()
  }

  const lockSetup = async () => {
    await sql`select pg_advisory_xact_lock(${LOCKS.adminSetup})`.execute(await unit.write())
  }

  const inspect: Links['inspect'] = async (purpose, token) => {
    const db = await unit.read()
    const row = await db
      .selectFrom('account_links')
      .select('account_id')
      .where(usable(purpose, token))
      .executeTakeFirst()
    return row && { accountId: row.account_id ?? undefined }
  }

  return {
    inspect,

    async takeTurn(purpose, token, isOver = async () => false) {
      const db = await unit.write()
      const turn =
        purpose === 'admin-setup'
          ? sql<boolean>`pg_try_advisory_xact_lock(${LOCKS.adminSetup})`
          : myTurn(ring.newHash('account-link', token))
      return inTurn(async () => {
        const { rows } = await sql<{ mine: boolean }>`select ${turn} as mine`.execute(db)
        if (rows[0]!.mine) return true
        return (await inspect(purpose, token)) && !(await isOver()) ? 'undecided' : false
      })
    },

    make(purpose, accountId) {
      const token = randomBytes(32).toString('base64url')
      const expiresAt = new Date(now().getTime() + LIFETIME_SECONDS[purpose] * 1000)
      const row = {
        token_hash: ring.newHash('account-link', token),
        purpose,
        account_id: accountId ?? null,
        expires_at: expiresAt,
        created_at: now(),
      }
      return unit.run(async () => {
        await lockMaking(accountId)
        const db = await unit.write()
        await db
          .deleteFrom('account_links')
          .where('account_id', accountId === undefined ? 'is' : '=', row.account_id)
          .execute()
        await db.insertInto('account_links').values(row).execute()
        return { token, expiresAt }
      })
    },

    async use(purpose, token) {
      const db = await unit.write()
      const query = db.updateTable('account_links').set({ used_at: now() }).where(usable(purpose, token))
      return (await query.executeTakeFirst()).numUpdatedRows === 1n
    },

    async endAll(accountId) {
      const db = await unit.write()
      await db.deleteFrom('account_links').where('account_id', '=', accountId).where('used_at', 'is', null).execute()
    },
  }
}
