// Every table as a type: the map of our data. Rows stay inside the rooms' `store.ts`; what leaves them is a domain type.
import type { ColumnType, Generated, JSONColumnType } from 'kysely'

type Timestamp = ColumnType<Date, Date, Date>
type MaybeTimestamp = ColumnType<Date | null, Date | null | undefined, Date | null>
type Json = JSONColumnType<object>
/** A value of the one sequence of epochs: it names an account or client and the generation of trust in it. */
type Epoch = ColumnType<string, string, string>
type OwnEpoch = ColumnType<string, string | undefined, string>

/** One row: the key ring, wrapped under GATEHOUSE_SECRET. */
export interface KeyRingTable {
  id: number
  wrapped: Buffer
  /** names what is wrapped, whatever it is wrapped under */
  revision: Generated<number>
  updated_at: Timestamp
}

/** Keys that sign tokens; the private part is sealed under the ring's at-rest key. */
export interface SigningKeysTable {
  kid: string
  alg: string
  state: 'next' | 'active' | 'retiring' | 'gone'
  public_jwk: Json
  /** null once the key is gone */
  private_sealed: Buffer | null
  created_at: Timestamp
  published_at: MaybeTimestamp
  activated_at: MaybeTimestamp
  retired_at: MaybeTimestamp
  gone_at: MaybeTimestamp
}

export interface AccountsTable {
  id: string
  email: string
  email_key: string
  name: string | null
  password_hash: string | null
  role: 'user' | 'admin'
  disabled_at: MaybeTimestamp
  created_at: Timestamp
  updated_at: Timestamp
  epoch: OwnEpoch
}

/** One-time links: set a password, make the first administrator. Only the keyed hash of the token is kept. */
export interface AccountLinksTable {
  token_hash: Buffer
  purpose: 'set-password' | 'admin-setup'
  account_id: string | null
  expires_at: Timestamp
  used_at: MaybeTimestamp
  created_at: Timestamp
}

export interface ResourcesTable {
  id: string
  name: string
  token_format: 'jwt' | 'opaque'
  sign_alg: string
  lifetime_seconds: number
  scopes: Json
  created_at: Timestamp
  updated_at: Timestamp
}

export interface ClientsTable {
  id: string
  name: string
  kind: 'web' | 'spa' | 'native' | 'service' | 'agent'
  auth_method: string
  first_party: boolean
  redirect_uris: string[]
  post_logout_redirect_uris: string[]
  response_modes: string[]
  refresh: 'none' | 'session' | 'offline'
  scopes: Json
  serves: string[]
  jwks: JSONColumnType<object | null>
  jwks_uri: string | null
  require_par: Generated<boolean>
  dpop: Generated<'optional' | 'required' | 'nonce'>
  disabled_at: MaybeTimestamp
  created_at: Timestamp
  updated_at: Timestamp
  epoch: OwnEpoch
}

/** Several may be live at once. The secret is either hashed or, where it is needed in clear, sealed. */
export interface ClientSecretsTable {
  id: string
  client_id: string
  name: string | null
  hash: Buffer | null
  /** the version of the key ring that the hash is made under */
  hash_version: Generated<number>
  sealed: Buffer | null
  created_at: Timestamp
  expires_at: MaybeTimestamp
  last_used_at: MaybeTimestamp
}

/** Login sessions of browsers. `uid` is a name, not a credential; the cookie's value is kept as a keyed hash only. */
export interface SessionsTable {
  id_hash: Buffer
  uid: string
  account_id: string | null
  account_epoch: Epoch | null
  payload: Json
  expires_at: Timestamp
}

export interface InteractionsTable {
  id_hash: Buffer
  payload: Json
  expires_at: Timestamp
}

/** What an account allowed a client within one session. Everything that hangs on a grant is found through it alone. */
export interface GrantsTable {
  id_hash: Buffer
  account_id: string | null
  client_id: string
  account_epoch: Epoch
  client_epoch: Epoch
  payload: Json
  expires_at: MaybeTimestamp
}

/** A view: the grants that were made under the epochs of their account and client that hold now. */
export interface LiveGrantsView {
  id_hash: Buffer
  account_id: string
  client_id: string
  payload: Json
  expires_at: MaybeTimestamp
}

/** Remembered consent: the scopes an account has once allowed a client, over all sessions. */
export interface ConsentsTable {
  account_id: string
  client_id: string
  scopes: Json
  updated_at: Timestamp
}

export interface AuthorizationCodesTable {
  id_hash: Buffer
  grant_hash: Buffer
  payload: Json
  consumed_at: MaybeTimestamp
  expires_at: Timestamp
}

/**
 * Opaque access tokens: of people, by the grant they hang on, and of clients, by the epoch they were issued under. JWT access
 * tokens are never stored.
 */
export interface AccessTokensTable {
  id_hash: Buffer
  facts_id: string
  client_epoch: Epoch | null
  grant_hash: Buffer | null
  family_hash: Buffer | null
  session_uid: string | null
  issued_at: Timestamp
  expires_at: Timestamp
  dpop_jkt: Buffer | null
}

/** What many access tokens have in common, such as audience and scope, once. */
export interface TokenFactsTable {
  id: string
  facts: Json
  /** not before the last token that has them; moved on with a margin, so that few tokens write here */
  expires_at: Timestamp
}

/** One row per refresh family, whatever the number of rotations. */
export interface RefreshFamiliesTable {
  family_hash: Buffer
  grant_hash: Buffer
  current_hash: Buffer
  previous_hash: Buffer | null
  generation: number
  rotated_at: MaybeTimestamp
  payload: Json
  expires_at: Timestamp
  absolute_expires_at: Timestamp
}

/** Requests that a client pushed before it sent the browser. `request` is the unsigned JWT that the engine makes of them. */
export interface PushedRequestsTable {
  id_hash: Buffer
  client_id: string
  request: string
  trusted: boolean
  dpop_jkt: string | null
  consumed_at: MaybeTimestamp
  expires_at: Timestamp
}

/** Values that may be seen once: assertion and proof ids. Insert-only. */
export interface ReplaysTable {
  key_hash: Buffer
  expires_at: Timestamp
}

/** The one log of trust that ended before its time. */
export interface EndingsTable {
  kind: 'token' | 'family' | 'grant' | 'session' | 'account' | 'client' | 'key'
  id_hash: Buffer
  reason: string
  ended_at: Timestamp
  expires_at: Timestamp
}

/** Epochs that are over, until what was made under them is swept. */
export interface EndedEpochsTable {
  epoch: Epoch
  kind: 'account' | 'client'
  /** of the account whose epoch it was; null for a client */
  account_id: string | null
  ended_at: Timestamp
}

/** Token buckets of guarded acts, by keyed hash. A bucket that is full again needs no row. */
export interface ThrottleBucketsTable {
  key: Buffer
  /** when it is full again; later by one token's time for each try */
  expires_at: Timestamp
}

export interface AuditEntriesTable {
  id: Generated<string>
  at: Timestamp
  kind: string
  actor: string
  subject: string | null
  request_id: string | null
  detail: Json
}

/** What was changed when, for what processes keep in memory; a topic's version is all of its rows (`db/live.ts`). */
export interface VersionsTable {
  topic: 'clients' | 'resources' | 'signing-keys' | 'key-ring'
  slot: number
  version: string
}

/** One row: the primary that this database was last used on (`db/meet-primary.ts`). */
export interface PrimaryMetTable {
  id: number
  system: string
  timeline: number
  /** null until there has been another one */
  promoted_at: MaybeTimestamp
}

export interface Schema {
  key_ring: KeyRingTable
  signing_keys: SigningKeysTable
  accounts: AccountsTable
  account_links: AccountLinksTable
  resources: ResourcesTable
  clients: ClientsTable
  client_secrets: ClientSecretsTable
  sessions: SessionsTable
  interactions: InteractionsTable
  grants: GrantsTable
  live_grants: LiveGrantsView
  consents: ConsentsTable
  authorization_codes: AuthorizationCodesTable
  access_tokens: AccessTokensTable
  token_facts: TokenFactsTable
  refresh_families: RefreshFamiliesTable
  pushed_requests: PushedRequestsTable
  replays: ReplaysTable
  endings: EndingsTable
  ended_epochs: EndedEpochsTable
  throttle_buckets: ThrottleBucketsTable
  audit_entries: AuditEntriesTable
  versions: VersionsTable
  primary_met: PrimaryMetTable
}
