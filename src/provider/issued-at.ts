// When what came with a request says that it was made.
import { decodeJwt } from 'jose'

/**
 * A request may bring two, one of which is not verified yet: the older one counts.
 * @param earliest for what does not say when it was made
 * @returns when the JWT was made, in seconds since 1970; infinity when it is not the one with this `jti`
 */
export function issuedAt(jwt: unknown, jti: string, earliest: number): number {
  try {
    const claims = decodeJwt(String(jwt))
    if (claims.jti !== jti) return Number.POSITIVE_INFINITY
    return typeof claims.iat === 'number' ? claims.iat : earliest
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
