// What a JWT access token says beyond RFC 9068: handles by which introspection finds out whether its grant and its refresh
// family still stand, or the client that got it for itself. They are row keys and numbers that mean nothing to anybody else.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { grantKey } from '../sessions/grants.ts'
import { factsOf } from './client-metadata.ts'
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
export function createTokenClaims({ tokens: { families } }: Pick<ProviderParts, 'tokens'>) {
  return async (ctx: KoaContextWithOIDC, token: IssuedToken, jwt: Jwt): Promise<undefined> => {
    if (token.kind === 'ClientCredentials') jwt.payload.epoch = factsOf(ctx.oidc.client!).epoch
    if (token.kind !== 'AccessToken' || token.grantId === undefined) return
    jwt.payload.gid = grantKey(token.grantId).toString('base64url')
    const family = familyAtHand(families.names)
    if (family) jwt.payload.fid = family.toString('base64url')
    const source = ctx.oidc.entities.AuthorizationCode ?? ctx.oidc.entities.RefreshToken
    if (source?.authTime !== undefined) jwt.payload.auth_time = source.authTime
    if (source?.acr !== undefined) jwt.payload.acr = source.acr
    if (source?.amr !== undefined) jwt.payload.amr = source.amr
  }
}
