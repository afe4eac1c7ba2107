// One-time links: set a password, or make the first administrator. Only the keyed hash of a link's token is kept; looking at
// a link does not use it up (mail scanners look), and of many who use it at once one succeeds.
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

const LIFETIME_SECONDS = { 'admin-setup': 60 * 60, 'set-password': 24 * 60 * 60 } as const
// An arbitrary constant of ours: making an administrator by link happens one at a time.
const SETUP_LOCK = 7_142_004

export type LinkPurpose = keyof typeof LIFETIME_SECONDS

export interface OneTimeToken {
  readonly token: string
  readonly expiresAt: Date
}

export interface Links {
  /** Makes a link; an older one for the same account stops working. */
  make(purpose: LinkPurpose, accountId?: string): Promise<OneTimeToken>
  /** @returns whose link it is, if it can still be used; nothing is used up */
  inspect(purpose: LinkPurpose, token: string): Promise<{ accountId?: string } | undefined>
  /** Uses a link up, inside the unit of work of what it is used for. @returns undefined when it cannot be used any more */
  use(purpose: LinkPurpose, token: string): Promise<{ accountId?: string } | undefined>
  /** Makes every other link of an account unusable, as after its password was set. */
  endAll(accountId: string): Promise<void>
  /** Waits until nobody else is making an administrator by link; lasts as long as the unit of work. */
  lockSetup(): Promise<void>
}

/** @returns the store of one-time links */
export function createLinks({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): Links {
  const key = (token: string) => ring.keyedHash('account-link', token)
  return {
    async make(purpose, accountId) {
      const token = randomBytes(32).toString('base64url')
      const expiresAt = new Date(now().getTime() + LIFETIME_SECONDS[purpose] * 1000)
      await unit.run(async () => {
        const db = await unit.write()
        if (accountId) await db.deleteFrom('account_links').where('account_id', '=', accountId).execute()
        await db
          .insertInto('account_links')
          .values({
            token_hash: key(token),
            purpose,
            account_id: accountId ?? null,
            expires_at: expiresAt,
            created_at: now(),
          })
          .execute()
      })
      return { token, expiresAt }
    },

    async inspect(purpose, token) {
      const db = await unit.read()
      const row = await db
        .selectFrom('account_links')
        .select('account_id')
        .where('token_hash', '=', key(token))
        .where('purpose', '=', purpose)
        .where('used_at', 'is', null)
        .where('expires_at', '>', now())
        .executeTakeFirst()
      return row && { accountId: row.account_id ?? undefined }
    },

    async use(purpose, token) {
      const db = await unit.write()
      const row = await db
        .updateTable('account_links')
        .set({ used_at: now() })
        .where('token_hash', '=', key(token))
        .where('purpose', '=', purpose)
        .where('used_at', 'is', null)
        .where('expires_at', '>', now())
        .returning('account_id')
        .executeTakeFirst()
      return row && { accountId: row.account_id ?? undefined }
    },

    async endAll(accountId) {
      const db = await unit.write()
      await db.deleteFrom('account_links').where('account_id', '=', accountId).where('used_at', 'is', null).execute()
    },

    async lockSetup() {
      await sql`select pg_advisory_xact_lock(${SETUP_LOCK})`.execute(await unit.write())
    },
  }
}
