// What the commands need of the rooms; the roof hands it in, opened for one command.
import type { Account } from '../accounts/account.ts'
import type { Apply } from '../apply/execute.ts'
import type { ClientRegister } from '../clients/register.ts'
import type { ClientSecretRow } from '../clients/secret-store.ts'
import type { ClientStore } from '../clients/store.ts'
import type { EndAll } from '../endings/end-all.ts'
import type { Withdraw } from '../endings/withdraw.ts'
import type { ResourceRegister } from '../resources/register.ts'
import type { ResourceStore } from '../resources/store.ts'
import type { Grant } from '../sessions/grants.ts'
import type { SessionFacts } from '../sessions/sessions.ts'
import type { KeyRecord } from '../signing-keys/key.ts'
import type { NextStep } from '../signing-keys/next-step.ts'
import type { KeyRotation } from '../signing-keys/rotate.ts'

/** A URL that works once. */
export interface OneTimeLink {
  readonly url: string
  readonly expiresAt: Date
}

/** A signing key without its private part, and what the schedule does with it next. */
export type ListedKey = KeyRecord & { readonly next?: NextStep }

export interface Rooms {
  readonly clients: Pick<ClientStore, 'find' | 'list'> &
    ClientRegister & {
      listSecrets(clientId: string): Promise<readonly ClientSecretRow[]>
    }
  readonly resources: Pick<ResourceStore, 'find' | 'list'> & ResourceRegister
  readonly accounts: {
    list(): Promise<readonly Account[]>
    findByEmail(email: string): Promise<Account | undefined>
    /** @returns the new account; undefined when the address is taken */
    add(fields: { email: string; name?: string }, actor: string): Promise<Account | undefined>
    disable(id: string, actor: string): Promise<boolean>
    enable(id: string, actor: string): Promise<boolean>
    revoke(id: string, actor: string): Promise<boolean>
    /** @returns why the password is refused, as a sentence for its owner, or undefined when it is set */
    setPassword(id: string, password: string, actor: string): Promise<string | undefined>
    makeSetPasswordLink(id: string, actor: string): Promise<OneTimeLink>
    makeAdminLink(actor: string): Promise<OneTimeLink>
  }
  readonly signingKeys: { list(): Promise<readonly ListedKey[]> } & Pick<KeyRotation, 'rotate' | 'retire'>
  /** ends trust by name */
  readonly trust: Withdraw & {
    /** @returns what was ended; undefined for what is no token of ours, or over already */
    token(text: string, actor: string): Promise<string | undefined>
    /** Ends everything that is open. */
    all: EndAll
    sessionsOf(accountId: string): Promise<readonly SessionFacts[]>
    grantsOf(accountId: string): Promise<readonly Grant[]>
  }
  readonly apply: Apply
  readonly now: () => Date
}

/** Opens configuration, database and rooms, runs one command with them, and closes again, whatever happened. */
export type WithRooms = <T>(command: (rooms: Rooms) => Promise<T>) => Promise<T>
