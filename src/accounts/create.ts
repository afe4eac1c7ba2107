// The room of people: everything that can be done with accounts, each act one unit of work with its audit entry.
import { randomBytes } from 'node:crypto'
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import type { Account } from './account.ts'
import { createAuthenticate } from './authenticate.ts'
import { isEmail } from './email.ts'
import { createLinks, type Links, type OneTimeToken } from './links.ts'
import { createPasswords, type Passwords } from './password.ts'
import { passwordFault } from './password-policy.ts'
import { type AccountStore, createAccountStore } from './store.ts'
import { createWorkQueue } from './work-queue.ts'

export interface AccountParts {
  readonly unit: UnitOfWork
  readonly ring: KeyRing
  readonly audit: Audit
  readonly now: () => Date
  /** Ends everything that hangs on an account: sessions, grants, tokens; part of the same unit of work. */
  readonly endAccount: (
    accountId: string,
    reason: 'account-disabled' | 'password-changed' | 'account-removed',
  ) => Promise<void>
}

/** What a form or a command may get wrong, by field. */
export type FieldFaults = Readonly<Partial<Record<'email' | 'name' | 'password', string>>>

export type Accounts = ReturnType<typeof createAccounts>

/** @returns the acts on accounts; `actor` is who acts, as in the audit */
export function createAccounts(parts: AccountParts) {
  const { unit, audit, now, endAccount } = parts
  const store = createAccountStore(parts)
  const links = createLinks(parts)
  const passwords = createPasswords(createWorkQueue())

  const switchAccount = (id: string, actor: string, on: boolean) =>
    unit.run(async () => {
      if (!(await store.setDisabled(id, on ? undefined : now()))) return false
      if (!on) await endAccount(id, 'account-disabled')
      await audit({ kind: on ? 'account.enabled' : 'account.disabled', actor, subject: id })
      return true
    })

  return {
    find: store.find,
    findByEmail: store.findByEmail,
    list: store.list,
    hasAdmin: store.hasAdmin,
    authenticate: createAuthenticate({ store, passwords }),

    /** Adds a person who has no password yet. @returns the account; undefined when the address is taken */
    add: (fields: { email: string; name?: string }, actor: string): Promise<Account | undefined> =>
      unit.run(async () => {
        const account = await store.insert({ ...fields, id: newAccountId(), role: 'user' })
        if (account)
          await audit({ kind: 'account.added', actor, subject: account.id, detail: { email: account.email } })
        return account
      }),

    /** Changes the name that apps are shown. */
    rename: (id: string, name: string | undefined, actor: string): Promise<boolean> =>
      unit.run(async () => {
        const renamed = await store.rename(id, name)
        if (renamed) await audit({ kind: 'account.changed', actor, subject: id, detail: { name } })
        return renamed
      }),
    disable: (id: string, actor: string) => switchAccount(id, actor, false),
    enable: (id: string, actor: string) => switchAccount(id, actor, true),

    /** Removes a person and everything that hangs on them. */
    remove: (id: string): Promise<boolean> =>
      unit.run(async () => {
        await endAccount(id, 'account-removed')
        return store.remove(id)
      }),

    /** @returns why the password is refused, as a sentence for its owner, or undefined when it is set */
    async setPassword(id: string, password: string, actor: string): Promise<string | undefined> {
      const account = await store.find(id)
      if (!account) return 'There is no such person.'
      const fault = await passwordFault(password, account)
      if (fault) return fault
      // Hashed before the unit of work opens: no lock is held while a core is busy.
      const hash = await passwords.hash(password)
      await unit.run(() => putPassword(parts, store, links, id, hash, actor))
      return undefined
    },

    makeSetPasswordLink: (id: string, actor: string): Promise<OneTimeToken> =>
      unit.run(async () => {
        const link = await links.make('set-password', id)
        await audit({ kind: 'account.link-made', actor, subject: id, detail: { purpose: 'set-password' } })
        return link
      }),

    makeAdminLink: (actor: string): Promise<OneTimeToken> =>
      unit.run(async () => {
        const link = await links.make('admin-setup')
        await audit({ kind: 'account.link-made', actor, detail: { purpose: 'admin-setup' } })
        return link
      }),

    /** @returns whose password a link sets, if it can still be used */
    async inspectSetPasswordLink(token: string): Promise<Account | undefined> {
      const link = await links.inspect('set-password', token)
      return link?.accountId ? store.find(link.accountId) : undefined
    },

    /** @returns whether a link can still make the first administrator */
    async inspectAdminLink(token: string): Promise<boolean> {
      return (await links.inspect('admin-setup', token)) !== undefined && !(await store.hasAdmin())
    },

    useSetPasswordLink: (token: string, password: string) =>
      useSetPasswordLink(parts, store, links, passwords, token, password),
    useAdminLink: (token: string, person: { email: string; name: string; password: string }) =>
      useAdminLink(parts, store, links, passwords, token, person),
  }
}

/** @returns `undefined` when done, `expired` for a link that cannot be used any more, or what is wrong with the password */
async function useSetPasswordLink(
  parts: AccountParts,
  store: AccountStore,
  links: Links,
  passwords: Passwords,
  token: string,
  password: string,
): Promise<'expired' | FieldFaults | undefined> {
  const link = await links.inspect('set-password', token)
  const account = link?.accountId ? await store.find(link.accountId) : undefined
  if (!account) return 'expired'
  const fault = await passwordFault(password, account)
  if (fault) return { password: fault }
  const hash = await passwords.hash(password)
  return parts.unit.run(async () => {
    if (!(await links.use('set-password', token))) return 'expired'
    await putPassword(parts, store, links, account.id, hash, account.id)
    return undefined
  })
}

/** @returns `undefined` when the administrator was made, `expired` when the link cannot be used any more, or the faults */
async function useAdminLink(
  parts: AccountParts,
  store: AccountStore,
  links: Links,
  passwords: Passwords,
  token: string,
  { email, name, password }: { email: string; name: string; password: string },
): Promise<'expired' | FieldFaults | undefined> {
  if (!(await links.inspect('admin-setup', token)) || (await store.hasAdmin())) return 'expired'
  const passwordProblem = await passwordFault(password, { email, name })
  const faults: FieldFaults = {
    ...(!isEmail(email.trim()) && { email: 'This is not an email address.' }),
    ...([...name].length > 100 && { name: 'Use at most 100 characters.' }),
    ...(passwordProblem && { password: passwordProblem }),
  }
  if (Object.keys(faults).length > 0) return faults
  const hash = await passwords.hash(password)
  return parts.unit
    .run(async () => {
      await links.lockSetup()
      if ((await store.hasAdmin()) || !(await links.use('admin-setup', token))) return 'expired'
      const made = await store.insert({
        id: newAccountId(),
        email,
        name: name.trim() || undefined,
        role: 'admin',
        passwordHash: hash,
      })
      if (!made) throw new EmailTaken()
      await parts.audit({ kind: 'account.admin-made', actor: made.id, subject: made.id, detail: { email: made.email } })
      return undefined
    })
    .catch((error: unknown) => {
      // Thrown, so that the link is not used up.
      if (error instanceof EmailTaken) return { email: 'Somebody with this address is here already.' }
      throw error
    })
}

class EmailTaken extends Error {}

async function putPassword(
  { audit, endAccount }: AccountParts,
  store: AccountStore,
  links: Links,
  id: string,
  hash: string,
  actor: string,
): Promise<void> {
  await store.setPasswordHash(id, hash)
  await links.endAll(id)
  // Whoever knew the old password may be signed in with it.
  await endAccount(id, 'password-changed')
  await audit({ kind: 'account.password-set', actor, subject: id })
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** `usr_` and 22 base62 characters, 131 bits, drawn without bias. */
function newAccountId(): string {
  let id = ''
  while (id.length < 22) {
    for (const byte of randomBytes(32)) if (byte < 248 && id.length < 22) id += ALPHABET[byte % 62]
  }
  return `usr_${id}`
}
