// The tables of accounts and of their one-time links: rows in, accounts out.
import type { Selectable } from 'kysely'
import type { AccountsTable } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { Account } from './account.ts'
import { emailKey } from './email.ts'

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
  setPasswordHash(id: string, hash: string): Promise<boolean>
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
  const update = async (
    id: string,
    change: Partial<Pick<AccountsTable, 'name' | 'password_hash'>> & { disabled_at?: Date | null },
  ) => {
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
      return (
        (await db.selectFrom('accounts').select('id').where('role', '=', 'admin').limit(1).executeTakeFirst()) !==
        undefined
      )
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

    setPasswordHash: (id, hash) => update(id, { password_hash: hash }),
    setDisabled: (id, disabledAt) => update(id, { disabled_at: disabledAt ?? null }),
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
