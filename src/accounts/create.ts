// The room of people: everything that can be done with accounts, each act one unit of work with its audit entry.
import { OperatorFault } from '../vocabulary/fault.ts'
import type { Account } from './account.ts'
import { newAccountId } from './account-id.ts'
import { createAuthenticate } from './authenticate.ts'
import { createFirstAdmin } from './first-admin.ts'
import { createLinks, type OneTimeToken } from './links.ts'
import type { AccountEnd, AccountParts } from './parts.ts'
import { createPasswords } from './password.ts'
import { createSetPassword } from './set-password.ts'
import { createAccountStore } from './store.ts'
import { createWorkQueue } from './work-queue.ts'

export type Accounts = ReturnType<typeof createAccounts>

/** @returns the acts on accounts; `actor` is who acts, as in the audit */
export function createAccounts(parts: AccountParts) {
  const { unit, audit, now, noteEnd } = parts
  const store = createAccountStore(parts)
  const links = createLinks(parts)
  const passwords = createPasswords(createWorkQueue())
  const end = async (id: string, reason: AccountEnd) => {
    const epoch = await store.endEpoch(id)
    if (epoch === undefined) return false
    await noteEnd(id, epoch, reason)
    return true
  }
  const act = { ...parts, store, links, passwords, end }

  return {
    find: store.find,
    findByEmail: store.findByEmail,
    list: store.list,
    hasAdmin: store.hasAdmin,
    epochOf: store.epochOf,
    authenticate: createAuthenticate(act),
    ...createSetPassword(act),
    ...createFirstAdmin(act),

    /** Adds a person who has no password yet. @returns the account; undefined when the address is taken */
    add: (fields: { email: string; name?: string }, actor: string): Promise<Account | undefined> =>
      unit.run(async () => {
        const account = await store.insert({ ...fields, id: newAccountId(), role: 'user' })
        if (account)
          await audit({ kind: 'account.added', actor, subject: account.id, detail: { email: account.email } })
        return account
      }),

    /** Changes the name that apps are shown. @returns false when there is no such person */
    rename: (id: string, name: string | undefined, actor: string): Promise<boolean> =>
      unit.run(async () => {
        if (!(await store.rename(id, name))) return false
        await audit({ kind: 'account.changed', actor, subject: id, detail: { name } })
        return true
      }),

    /** Ends what a person has open and lets nothing new begin. @returns false when the person was disabled before */
    disable: (id: string, actor: string): Promise<boolean> =>
      unit.run(async () => {
        if (!(await store.setDisabled(id, now()))) return false
        await links.endAll(id)
        await end(id, 'account-disabled')
        await audit({ kind: 'account.disabled', actor, subject: id })
        return true
      }),

    /** @returns false when the person was not disabled */
    enable: (id: string, actor: string): Promise<boolean> =>
      unit.run(async () => {
        if (!(await store.setDisabled(id, undefined))) return false
        await audit({ kind: 'account.enabled', actor, subject: id })
        return true
      }),

    /** Ends every session, grant and token of a person, who may sign in anew at once. @returns false for an unknown person */
    revoke: (id: string, actor: string): Promise<boolean> =>
      unit.run(async () => {
        if (!(await end(id, 'revoked'))) return false
        await audit({ kind: 'account.revoked', actor, subject: id })
        return true
      }),

    /** Removes a person and everything that hangs on them. @returns false when there is no such person */
    remove: (id: string, actor: string): Promise<boolean> =>
      unit.run(async () => {
        if (!(await store.hold(id))) return false
        await end(id, 'account-removed')
        await store.remove(id)
        await audit({ kind: 'account.removed', actor, subject: id })
        return true
      }),

    /** @returns a link by which a person sets a password; an older one stops working */
    makeSetPasswordLink: (id: string, actor: string): Promise<OneTimeToken> =>
      unit.run(async () => {
        const link = await links.make('set-password', id)
        await audit({ kind: 'account.link-made', actor, subject: id, detail: { purpose: 'set-password' } })
        return link
      }),

    /**
     * @returns a link by which the first administrator is made; an older one stops working
     * @throws OperatorFault when there is an administrator: the link would be dead
     */
    makeAdminLink: (actor: string): Promise<OneTimeToken> =>
      unit.run(async () => {
        const admin = (await store.list()).find(({ role }) => role === 'admin')
        if (admin) {
          throw new OperatorFault(
            `There is an administrator already: ${admin.email}.`,
            'If the password is lost, "gatehouse user set-password" gives that person a new one.',
          )
        }
        const link = await links.make('admin-setup')
        await audit({ kind: 'account.link-made', actor, detail: { purpose: 'admin-setup' } })
        return link
      }),

    /** @returns whose password a link sets, if it can still be used */
    async inspectSetPasswordLink(token: string): Promise<Account | undefined> {
      const link = await links.inspect('set-password', token)
      return link?.accountId ? store.find(link.accountId) : undefined
    },
  }
}
