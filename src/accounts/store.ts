// The table of accounts: rows in, accounts out.
import type { ExpressionBuilder, Selectable } from 'kysely'
import { endEpoch } from '../db/end-epoch.ts'
import type { AccountsTable, Schema } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { Account } from './account.ts'
import { emailKey, isEmail } from './email.ts'

export interface NewAccount {
  readonly id: string
  readonly email: string
  readonly name?: string
  readonly role: Account['role']
  readonly passwordHash?: string
}

export interface AccountStore {
  find(id: string): Promise<Account | undefined>
  findByEmail(email: string): Promise<Account | undefined>
  /** @returns account and password hash, in one look-up */
  findForSignIn(email: string): Promise<{ account: Account; passwordHash?: string } | undefined>
  /** @returns all accounts, by email */
  list(): Promise<readonly Account[]>
  hasAdmin(): Promise<boolean>
  /** @returns the account, or undefined when the address is taken */
  insert(account: NewAccount): Promise<Account | undefined>
  /**
   * Holds an account against every other change until the unit of work ends. Whoever changes an account and its links holds
   * the account first, or two of them could wait for each other for ever. @returns false when there is none
   */
  hold(id: string): Promise<boolean>
  /** @param key of an email @returns the present epoch; undefined when there is no such person */
  epochOf(key: string): Promise<string | undefined>
  /** Begins a new epoch. @returns the one that is over by it; undefined when there is no such person */
  endEpoch(id: string): Promise<string | undefined>
  setPasswordHash(id: string, hash: string): Promise<boolean>
  /**
   * Holds an account for the rest of the unit of work, if it still has this password hash and is not disabled, and puts a
   * `better` hash of the same password in its place. @returns false when it is not so any more
   */
  confirmPassword(id: string, hash: string, better: string): Promise<boolean>
  /** @returns false when there was nothing to change */
  setDisabled(id: string, disabledAt: Date | undefined): Promise<boolean>
  rename(id: string, name: string | undefined): Promise<boolean>
  remove(id: string): Promise<boolean>
}

/** @returns the store of accounts */
export function createAccountStore({ unit, now }: { unit: UnitOfWork; now: () => Date }): AccountStore {
  const first = async (column: 'id' | 'email_key', value: string) => {
    const db = await unit.read()
    return db.selectFrom('accounts').selectAll().where(column, '=', value).executeTakeFirst()
  }
  const update = async (id: string, change: Partial<Pick<AccountsTable, 'name' | 'password_hash'>>) => {
    const db = await unit.write()
    const result = await db
      .updateTable('accounts')
      .set({ ...change, updated_at: now() })
      .where('id', '=', id)
      .executeTakeFirst()
    return result.numUpdatedRows === 1n
  }
  return {
    find: async (id) => toAccount(await first('id', id)),
    findByEmail: async (email) => toAccount(await first('email_key', emailKey(email))),

    async findForSignIn(email) {
      const row = await first('email_key', emailKey(email))
      return row && { account: toAccount(row)!, passwordHash: row.password_hash ?? undefined }
    },

    async list() {
      const db = await unit.read()
      const rows = await db.selectFrom('accounts').selectAll().orderBy('email_key').execute()
      return rows.map((row) => toAccount(row)!)
    },

    async hasAdmin() {
      const db = await unit.read()
      const admin = await db.selectFrom('accounts').select('id').where('role', '=', 'admin').limit(1).executeTakeFirst()
      return admin !== undefined
    },

    async insert({ id, email, name, role, passwordHash }) {
      const db = await unit.write()
      const row = await db
        .insertInto('accounts')
        .values({
          id,
          email: email.trim().normalize('NFC'),
          email_key: emailKey(email),
          name: name ?? null,
          role,
          password_hash: passwordHash ?? null,
          created_at: now(),
          updated_at: now(),
        })
        .onConflict((conflict) => conflict.column('email_key').doNothing())
        .returningAll()
        .executeTakeFirst()
      return toAccount(row)
    },

    async hold(id) {
      const db = await unit.write()
      const query = db.selectFrom('accounts').select('id').where('id', '=', id).forNoKeyUpdate()
      return (await query.executeTakeFirst()) !== undefined
    },

    async epochOf(key) {
      const db = await unit.read()
      // What is no address is not asked for: PostgreSQL does not take every text.
      const text = isEmail(key) ? key : ''
      const row = await db.selectFrom('accounts').select('epoch').where('email_key', '=', text).executeTakeFirst()
      return row?.epoch
    },

    endEpoch: async (id) => endEpoch(await unit.write(), 'accounts', id),

    setPasswordHash: (id, hash) => update(id, { password_hash: hash }),

    async confirmPassword(id, hash, better) {
      const db = await unit.write()
      const still = (eb: ExpressionBuilder<Schema, 'accounts'>) =>
        eb.and([eb('id', '=', id), eb('password_hash', '=', hash), eb('disabled_at', 'is', null)])
      if (better === hash) {
        return (await db.selectFrom('accounts').select('id').where(still).forShare().executeTakeFirst()) !== undefined
      }
      const change = { password_hash: better, updated_at: now() }
      return (await db.updateTable('accounts').set(change).where(still).executeTakeFirst()).numUpdatedRows === 1n
    },

    async setDisabled(id, disabledAt) {
      const db = await unit.write()
      const result = await db
        .updateTable('accounts')
        .set({ disabled_at: disabledAt ?? null, updated_at: now() })
        .where('id', '=', id)
        .where('disabled_at', disabledAt ? 'is' : 'is not', null)
        .executeTakeFirst()
      return result.numUpdatedRows === 1n
    },

    rename: (id, name) => update(id, { name: name ?? null }),

    async remove(id) {
      const db = await unit.write()
      return (await db.deleteFrom('accounts').where('id', '=', id).executeTakeFirst()).numDeletedRows === 1n
    },
  }
}

function toAccount(row: Selectable<AccountsTable> | undefined): Account | undefined {
  if (!row) return undefined
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    hasPassword: row.password_hash !== null,
    createdAt: row.created_at,
    ...(row.name !== null && { name: row.name }),
    ...(row.disabled_at && { disabledAt: row.disabled_at }),
  }
}
