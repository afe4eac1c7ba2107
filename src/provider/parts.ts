// What the provider is handed by the roof: functions of the rooms below, nothing more.
import type { Account } from '../accounts/account.ts'
import type { Audit } from '../audit/entry.ts'
import type { Client } from '../clients/client.ts'
import type { SealedSecret } from '../clients/secrets.ts'
import type { Endings } from '../endings/end.ts'
import type { CookieSigner } from '../http/cookie-signer.ts'
import type { Resource } from '../resources/resource.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import type { Consents } from '../sessions/consents.ts'
import type { GrantStore } from '../sessions/grants.ts'
import type { Interactions } from '../sessions/interactions.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { SigningKey } from '../signing-keys/key.ts'
import type { AccessTokens } from '../tokens/access-tokens.ts'
import type { Codes } from '../tokens/codes.ts'
import type { Families } from '../tokens/families.ts'
import type { PushedRequests } from '../tokens/pushed-requests.ts'
import type { Replays } from '../tokens/replay.ts'
import type { Revoke } from '../tokens/revoke.ts'

export interface ProviderParts {
  readonly issuer: string
  readonly ring: KeyRing
  readonly cookieSigner: CookieSigner
  /** the published keys; of each algorithm the one that signs comes first */
  readonly signingKeys: readonly SigningKey[]
  /** the time that stores go by; the engine itself reads this machine's clock */
  readonly now: () => Date
  /** whether requests of ours (for a client's keys) may go to private addresses: in tests only */
  readonly privateAddresses: boolean
  readonly audit: Audit
  /** Rolls back what the request at hand has written, whatever its answer. */
  readonly abandon: () => void
  /** @returns the client, disabled ones included, as it was at most a second ago; the same object while nothing has changed */
  readonly findClient: (id: string) => Promise<Client | undefined>
  /** @returns whether the client is there, not disabled, and still in this epoch; read on each use */
  readonly clientStands: (id: string, epoch: string) => Promise<boolean>
  readonly verifySecret: (clientId: string, presented: string) => Promise<boolean>
  /** the secrets of clients that sign with theirs */
  readonly sealedSecrets: {
    /** @returns the live ones, newest first */
    list(clientId: string): Promise<readonly SealedSecret[]>
    /** @returns the secret in clear */
    open(clientId: string, sealed: Buffer): string
    /** Notes that one was used now. @param id of the secret */
    noteUse(id: string): void
  }
  readonly findResource: (id: string) => Promise<Resource | undefined>
  /** @returns the account, disabled ones included */
  readonly findAccount: (id: string) => Promise<Account | undefined>
  readonly tokens: {
    readonly codes: Codes
    readonly families: Families
    readonly accessTokens: AccessTokens
    readonly pushedRequests: PushedRequests
    readonly replays: Replays
    readonly revoke: Revoke
    readonly endings: Pick<Endings, 'anyEnded' | 'endNamed'>
  }
  readonly sessions: {
    readonly sessions: Sessions
    readonly grants: GrantStore
    readonly interactions: Interactions
    readonly consents: Consents
  }
}

/** Lifetimes in seconds; the README's table says the same. */
export const LIFETIMES = {
  code: 60,
  // The engine has it fixed.
  pushedRequest: 60,
  interaction: 15 * 60,
  accessToken: 10 * 60,
  idToken: 60 * 60,
  sessionIdle: 12 * 60 * 60,
  sessionAbsolute: 7 * 24 * 60 * 60,
  refreshIdle: 30 * 24 * 60 * 60,
  refreshAbsolute: 90 * 24 * 60 * 60,
  // Longer than any refresh family that can begin within a session: a grant must not end before what hangs on it.
  grant: 100 * 24 * 60 * 60,
  jwksCache: 300,
} as const

/** What ID tokens are signed with. */
export const ID_TOKEN_ALGORITHM = 'RS256'
