// The refresh family of the request at hand: known from the code that is redeemed or the refresh token that is used, so that
// access tokens can name it even before the first refresh token exists.
import Provider from 'oidc-provider'
import type { FamilyNames } from '../tokens/family.ts'

/** @returns the row key of the family, or undefined for tokens that have none (client credentials) */
export function familyAtHand(names: FamilyNames): Buffer | undefined {
  const entities = Provider.ctx?.oidc.entities
  const refresh = entities?.RotatedRefreshToken ?? entities?.RefreshToken
  if (refresh) return names.ofToken(refresh.jti)
  const code = entities?.AuthorizationCode
  return code && names.ofCode(code.jti)
}
