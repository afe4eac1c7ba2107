// Who gets a refresh token, what ends it, and whether it is replaced at each use.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { isConfidential } from '../clients/client.ts'
import { factsOf } from './client-metadata.ts'
import { LIFETIMES, type ProviderParts } from './parts.ts'

interface Source {
  readonly scopes: Set<string>
  readonly clientId?: string
}
type EngineClient = { grantTypeAllowed(type: string): boolean; readonly [key: string]: unknown }

/** Clients get one unless their policy is `none`. */
export async function issueRefreshToken(_ctx: KoaContextWithOIDC, client: EngineClient): Promise<boolean> {
  return client.grantTypeAllowed('refresh_token')
}

/** Tokens end with the login session, unless the client stays connected: by its policy or by `offline_access`. */
export async function expiresWithSession(ctx: KoaContextWithOIDC, source: Source): Promise<boolean> {
  return factsOf(ctx.oidc.client!).refresh !== 'offline' && !source.scopes.has('offline_access')
}

/**
 * Public bearer clients get a successor at each use; confidential and sender-constrained ones keep their token, and its idle
 * end moves (RFC 9700 section 4.14, FAPI 2.0 section 5.3.2.1).
 */
export function createRotateRefreshToken({ tokens: { families }, now }: Pick<ProviderParts, 'tokens' | 'now'>) {
  return async function rotateRefreshToken(ctx: KoaContextWithOIDC): Promise<boolean> {
    const token = ctx.oidc.entities.RefreshToken!
    if (!isConfidential(factsOf(ctx.oidc.client!)) && !token.isSenderConstrained()) return true
    await families.touch(token.jti, new Date(now().getTime() + LIFETIMES.refreshIdle * 1000))
    return false
  }
}

/** @returns seconds until a refresh token ends: idle, but never past the family's absolute end */
export function refreshTokenLifetime(token: { iiat?: number }, now: Date): number {
  const begun = token.iiat ?? Math.floor(now.getTime() / 1000)
  const left = begun + LIFETIMES.refreshAbsolute - Math.floor(now.getTime() / 1000)
  return Math.max(1, Math.min(LIFETIMES.refreshIdle, left))
}

/** @returns seconds until a login session ends: idle, but never past its absolute end */
export function sessionLifetime(session: { loginTs?: number }, now: Date): number {
  const begun = session.loginTs ?? Math.floor(now.getTime() / 1000)
  const left = begun + LIFETIMES.sessionAbsolute - Math.floor(now.getTime() / 1000)
  return Math.max(1, Math.min(LIFETIMES.sessionIdle, left))
}
