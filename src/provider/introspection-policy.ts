// Who may see what a token is about (RFC 7662 section 2.1).
import type { KoaContextWithOIDC } from 'oidc-provider'
import { factsOf } from './client-metadata.ts'

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

/**
 * The engine's `introspection.allowedPolicy`. A token is only found while its owners stand. Where it is another client's, and a
 * person's, the engine then reads that client, and fails if it is gone meanwhile: so we look first.
 */
export async function introspectionPolicy(
  ctx: KoaContextWithOIDC,
  caller: Caller,
  token: TokenOwners,
): Promise<boolean> {
  if (!mayIntrospect(caller, token)) return false
  if (token.accountId === undefined || token.clientId === caller.clientId) return true
  return (await ctx.oidc.provider.Client.find(token.clientId ?? '')) !== undefined
}
