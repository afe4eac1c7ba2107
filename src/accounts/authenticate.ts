// Is this the person? As slow for an unknown address, a disabled account or one without a password as for a wrong password.
import type { Account } from './account.ts'
import { isEmail } from './email.ts'
import type { Passwords } from './password.ts'
import type { AccountStore } from './store.ts'

export type Authentication =
  | { readonly ok: true; readonly account: Account }
  | { readonly ok: false; readonly reason: 'unknown' | 'owner-disabled' }

/**
 * @returns a function from email and password to the account; the reason of a refusal is for the log, never for the caller
 */
export function createAuthenticate({ store, passwords }: { store: AccountStore; passwords: Passwords }) {
  return async function authenticate(email: string, password: string): Promise<Authentication> {
    const found = isEmail(email.trim()) ? await store.findForSignIn(email) : undefined
    const fits = await passwords.verify(found?.passwordHash, password)
    if (!found || !fits) return { ok: false, reason: 'unknown' }
    if (found.account.disabledAt) return { ok: false, reason: 'owner-disabled' }
    if (passwords.isOutdated(found.passwordHash!)) {
      await store.setPasswordHash(found.account.id, await passwords.hash(password))
    }
    return { ok: true, account: found.account }
  }
}
