// What a client is: an application that may ask for tokens.

export const CLIENT_KINDS = ['web', 'spa', 'native', 'service', 'agent'] as const
export type ClientKind = (typeof CLIENT_KINDS)[number]

export const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'none',
] as const
export type AuthMethod = (typeof AUTH_METHODS)[number]

export const RESPONSE_MODES = ['query', 'fragment', 'form_post'] as const
export type ResponseMode = (typeof RESPONSE_MODES)[number]

/** Whether the client gets refresh tokens, and what ends them: the login session, or only grant, account or client. */
export const REFRESH_POLICIES = ['none', 'session', 'offline'] as const
export type RefreshPolicy = (typeof REFRESH_POLICIES)[number]

/**
 * Whether access tokens are bound to a key of the client (RFC 9449): where it proves to have one, always, or always and with a
 * nonce of ours in each proof.
 */
export const DPOP_POLICIES = ['optional', 'required', 'nonce'] as const
export type DpopPolicy = (typeof DPOP_POLICIES)[number]

/** Everything about a client that a document or a command may set. */
export interface ClientFields {
  readonly id: string
  readonly name: string
  readonly kind: ClientKind
  readonly authMethod: AuthMethod
  /** skips the consent page; set by operators only */
  readonly firstParty: boolean
  readonly redirectUris: readonly string[]
  readonly postLogoutRedirectUris: readonly string[]
  readonly responseModes: readonly ResponseMode[]
  readonly refresh: RefreshPolicy
  /** takes authorization requests only when they were pushed (RFC 9126) */
  readonly requirePar: boolean
  readonly dpop: DpopPolicy
  /** scopes this client may ask for, by resource id */
  readonly scopes: Readonly<Record<string, readonly string[]>>
  /** resources this client is the resource server of: it may introspect their tokens */
  readonly serves: readonly string[]
  readonly jwks?: { readonly keys: readonly object[] }
  readonly jwksUri?: string
}

export interface Client extends ClientFields {
  /** the generation of trust in it, as a number in text; another one after each ending of all that it has open */
  readonly epoch: string
  readonly disabledAt?: Date
  readonly createdAt: Date
}

const CLIENT_ID = /^[\w.~-]{1,128}$/

/** @returns whether a client could have this id; strangers name clients by whatever their JWTs hold, also by what is no text */
export function isClientId(id: unknown): id is string {
  return typeof id === 'string' && CLIENT_ID.test(id)
}

/** @returns whether the client can keep a secret (RFC 6749 section 2.1) */
export function isConfidential(client: Pick<ClientFields, 'authMethod'>): boolean {
  return client.authMethod !== 'none'
}

/**
 * @returns how we keep the secrets of a client that authenticates with one: as keyed hashes where it sends the secret, sealed
 *   where it signs with it; undefined for every other client
 */
export function secretForm(client: Pick<ClientFields, 'authMethod'>): 'hashed' | 'sealed' | undefined {
  if (client.authMethod === 'client_secret_jwt') return 'sealed'
  const sends = client.authMethod === 'client_secret_basic' || client.authMethod === 'client_secret_post'
  return sends ? 'hashed' : undefined
}

/** @returns whether the rules for native apps hold (RFC 8252): any port on loopback, schemes of their own */
export function isNativeApp(client: Pick<ClientFields, 'kind' | 'authMethod'>): boolean {
  return client.kind === 'native' || (client.kind === 'agent' && client.authMethod === 'none')
}

/** @returns whether people log in through this client, as opposed to machines talking for themselves */
export function hasUsers(client: Pick<ClientFields, 'kind' | 'redirectUris'>): boolean {
  return client.kind !== 'service' && client.redirectUris.length > 0
}
