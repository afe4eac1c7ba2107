// What the pages of an interaction are handed by the roof.
import type Provider from 'oidc-provider'
import type { Account } from '../accounts/account.ts'
import type { Audit } from '../audit/entry.ts'
import type { Client } from '../clients/client.ts'
import type { Csrf } from '../http/csrf.ts'
import type { Resource } from '../resources/resource.ts'
import type { Consents } from '../sessions/consents.ts'
import type { Interactions } from '../sessions/interactions.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Throttle } from '../throttle/create.ts'
import type { KnownDevices } from '../throttle/known-device.ts'

export interface InteractionParts {
  readonly issuer: string
  readonly provider: () => Provider
  readonly csrf: Csrf
  readonly throttle: Throttle
  /** whole days, in seconds: how long a login session lasts at most, and what an app gets that stays connected */
  readonly lifetimes: { readonly session: number; readonly refresh: number }
  readonly devices: KnownDevices
  readonly audit: Audit
  /** Rolls back what the request at hand has written, whatever its answer. */
  readonly abandon: () => void
  readonly sessions: Pick<Sessions, 'hold' | 'noteGrant'>
  readonly interactions: Interactions
  readonly consents: Consents
  readonly findClient: (id: string) => Promise<Client | undefined>
  readonly findResource: (id: string) => Promise<Resource | undefined>
  readonly findAccount: (id: string) => Promise<Account | undefined>
  readonly authenticate: (
    email: string,
    password: string,
    giveBack: () => Promise<void>,
  ) => Promise<{ ok: true; account: Account } | { ok: false; reason: string }>
}
