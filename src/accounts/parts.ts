// What the room of people is handed by the roof, and what its acts share.
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import type { Account } from './account.ts'
import type { Links } from './links.ts'
import type { Passwords } from './password.ts'
import type { IsBreached } from './password-policy.ts'
import type { AccountStore } from './store.ts'

export type AccountEnd = 'account-disabled' | 'password-changed' | 'account-removed' | 'revoked'

export interface AccountParts {
  readonly unit: UnitOfWork
  readonly ring: KeyRing
  readonly audit: Audit
  readonly now: () => Date
  /** Ends the sessions of an account and notes that all which hangs on it is over; part of the same unit of work. */
  readonly noteEnd: (accountId: string, endedEpoch: string, reason: AccountEnd) => Promise<void>
  /** Asks a list of breached passwords; none is asked without it. */
  readonly isBreached?: IsBreached
}

/** What each act on an account works with. */
export interface ActParts extends Omit<AccountParts, 'ring' | 'now' | 'noteEnd'> {
  /** Ends everything that hangs on an account. @returns false when there is no such account */
  readonly end: (accountId: string, reason: AccountEnd) => Promise<boolean>
  readonly store: AccountStore
  readonly links: Links
  readonly passwords: Passwords
}

/** What a form got wrong, by field. */
export type FieldFaults = Readonly<Partial<Record<'email' | 'name' | 'password', string>>>

/** What came of using a link: it did its work, cannot be used any more, or is still good and the form is not. */
export type LinkUse =
  | { readonly outcome: 'done'; readonly account: Account }
  | { readonly outcome: 'expired' }
  | { readonly outcome: 'refused'; readonly faults: FieldFaults; readonly account?: Account }
