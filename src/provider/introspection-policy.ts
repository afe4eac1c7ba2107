// Who may see what a token is about, and whether its owners still stand behind it (RFC 7662 section 2.1).
import type { KoaContextWithOIDC } from 'oidc-provider'
import { factsOf } from './client-metadata.ts'
import type { ProviderParts } from './parts.ts'

/** What introspection needs to know of a token, whatever its form. */
export interface TokenOwners {
  readonly clientId?: string
  readonly accountId?: string
  readonly aud?: string | string[]
}

type Caller = { readonly clientId: string; readonly [key: string]: unknown }

/** @returns true for the client that the token was issued to, and for a client that serves its audience */
export function mayIntrospect(caller: Caller, token: TokenOwners): boolean {
  if (token.clientId === caller.clientId) return true
  const { serves } = factsOf(caller)
  return typeof token.aud === 'string' && serves.includes(token.aud)
}

/** @returns a check that client and account of a token are there and not disabled; read on each use, never cached */
export function createOwnersStand({ findClient, findAccount }: Pick<ProviderParts, 'findClient' | 'findAccount'>) {
  return async function ownersStand({ clientId, accountId }: TokenOwners): Promise<boolean> {
    const client = clientId === undefined ? undefined : await findClient(clientId)
    if (!client || client.disabledAt) return false
    if (accountId === undefined) return true
    const account = await findAccount(accountId)
    return account !== undefined && account.disabledAt === undefined
  }
}

/** @returns the engine's `introspection.allowedPolicy` for opaque tokens */
export function createIntrospectionPolicy(parts: Pick<ProviderParts, 'findClient' | 'findAccount'>) {
  const ownersStand = createOwnersStand(parts)
  return async (_ctx: KoaContextWithOIDC, caller: Caller, token: TokenOwners): Promise<boolean> =>
    mayIntrospect(caller, token) && (await ownersStand(token))
}
