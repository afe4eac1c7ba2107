// Is this the person? As slow for an unknown address, a disabled account or one without a password as for a wrong password.
import type { Account } from './account.ts'
import { isEmail } from './email.ts'
import type { Links } from './links.ts'
import type { Passwords } from './password.ts'
import type { AccountStore } from './store.ts'

export type Authentication =
  | { readonly ok: true; readonly account: Account }
  | { readonly ok: false; readonly reason: 'unknown' | 'owner-disabled' }

/**
 * @returns a function from email and password to the account; the reason of a refusal is for the log, never for the caller.
 *   Where it is called inside a unit of work, the account keeps this password and stays enabled until the unit ends. `giveBack`
 *   is called for a try that was right, or that could not be made; every other one is spent.
 */
export function createAuthenticate({
  store,
  links,
  passwords,
}: {
  store: AccountStore
  links: Pick<Links, 'endAll'>
  passwords: Passwords
}) {
  const compare = async (hash: string | undefined, password: string, giveBack: () => Promise<void>) => {
    try {
      return await passwords.verify(hash, password)
    } catch (error) {
      // The queue was full: nobody has learned anything from this try.
      await giveBack()
      throw error
    }
  }

  return async function authenticate(
    email: string,
    password: string,
    giveBack: () => Promise<void> = async () => undefined,
  ): Promise<Authentication> {
    const found = isEmail(email.trim()) ? await store.findForSignIn(email) : undefined
    const hash = found?.passwordHash
    const fits = await compare(hash, password, giveBack)
    if (!found || !hash || !fits) return { ok: false, reason: 'unknown' }
    if (found.account.disabledAt) return { ok: false, reason: 'owner-disabled' }
    // Now, while nothing is locked: from here on this request holds a connection, and must not wait for another.
    await giveBack()

    const better = passwords.isOutdated(hash) ? await passwords.hash(password) : hash
    // Hashing takes its time. Whoever was disabled or got a new password meanwhile is not let in with the old one.
    if (!(await store.confirmPassword(found.account.id, hash, better))) return { ok: false, reason: 'unknown' }
    // Who knows the password needs no link to set one; what lies in a mailbox stops working.
    await links.endAll(found.account.id)
    return { ok: true, account: found.account }
  }
}
