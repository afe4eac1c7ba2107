// Giving an account a password: by an operator, or by the person who holds a link.
import type { ActParts, LinkUse } from './parts.ts'
import { passwordFault } from './password-policy.ts'

const NOBODY = 'There is no such person.'

/** @returns the two ways to a new password */
export function createSetPassword(parts: ActParts) {
  const { unit, audit, store, links, passwords, end, isBreached } = parts

  /** @returns false when the account is gone */
  const put = async (id: string, hash: string, actor: string): Promise<boolean> => {
    if (!(await store.setPasswordHash(id, hash))) return false
    await links.endAll(id)
    // Whoever knew the old password may be signed in with it.
    await end(id, 'password-changed')
    await audit({ kind: 'account.password-set', actor, subject: id })
    return true
  }

  return {
    /** @returns why the password is refused, as sentences for its owner, or undefined when it is set */
    async setPassword(id: string, password: string, actor: string): Promise<string | undefined> {
      const account = await store.find(id)
      if (!account) return NOBODY
      const fault = await passwordFault(password, { ...account, isBreached })
      if (fault) return fault
      // Hashed before the unit of work opens: no lock is held while a core is busy.
      const hash = await passwords.hash(password)
      return (await unit.run(() => put(id, hash, actor))) ? undefined : NOBODY
    },

    /** Takes the new password of whoever a link belongs to. One of many at once succeeds; nobody is signed in by it. */
    async useSetPasswordLink(token: string, password: string): Promise<LinkUse> {
      const link = await links.inspect('set-password', token)
      const account = link?.accountId ? await store.find(link.accountId) : undefined
      if (!account) return { outcome: 'expired' }
      const fault = await passwordFault(password, { ...account, isBreached })
      if (fault) return { outcome: 'refused', faults: { password: fault }, account }
      const hash = await passwords.hash(password)
      return unit.run(async () => {
        if (!(await links.takeTurn('set-password', token))) return { outcome: 'expired' }
        if (!(await store.hold(account.id)) || !(await links.use('set-password', token))) return { outcome: 'expired' }
        return (await put(account.id, hash, account.id)) ? { outcome: 'done', account } : { outcome: 'expired' }
      })
    },
  }
}
