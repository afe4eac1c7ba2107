// What a JWT access token says beyond RFC 9068: handles by which introspection finds out whether its grant and its refresh
// family still stand. They are row keys under the pepper and mean nothing to anybody else.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { familyAtHand } from './family-at-hand.ts'
import type { ProviderParts } from './parts.ts'

interface IssuedToken {
  readonly kind: string
  readonly grantId?: string
}
interface Jwt {
  header?: object
  payload: Record<string, unknown>
}

/** @returns the engine's customizer of JWT access tokens */
export function createTokenClaims({
  sessions: { grants },
  tokens: { families },
}: Pick<ProviderParts, 'sessions' | 'tokens'>) {
  return async (ctx: KoaContextWithOIDC, token: IssuedToken, jwt: Jwt): Promise<undefined> => {
    if (token.kind !== 'AccessToken' || token.grantId === undefined) return
    jwt.payload.gid = grants.key(token.grantId).toString('base64url')
    const family = familyAtHand(families.names)
    if (family) jwt.payload.fid = family.toString('base64url')
    const source = ctx.oidc.entities.AuthorizationCode ?? ctx.oidc.entities.RefreshToken
    if (source?.authTime !== undefined) jwt.payload.auth_time = source.authTime
    if (source?.acr !== undefined) jwt.payload.acr = source.acr
    if (source?.amr !== undefined) jwt.payload.amr = source.amr
  }
}
