// The shape of our JWT access tokens (RFC 9068), for those who make them and those who read them.
import { parseScopes } from './scopes.ts'

/** The `typ` header that tells an access token from every other JWT (RFC 9068 section 2.1). */
export const ACCESS_TOKEN_TYPE = 'at+jwt'

/** Longest access token that anybody here looks at, in characters. */
export const MAX_TOKEN_LENGTH = 8192

/** No access token lives longer than this, in seconds; an ending older than this has nothing left to end. */
export const LONGEST_ACCESS_TOKEN_SECONDS = 24 * 60 * 60

/** Seconds by which the clocks of clients, nodes and verifiers may differ. */
export const CLOCK_TOLERANCE = 10

const MAX_NAME_LENGTH = 512
const MAX_SCOPE_LENGTH = 4096
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in a name
const CONTROL = /[\u0000-\u001f\u007f]/

/** Claims of an access token, checked for their types; others ride along unchecked. */
export interface AccessTokenClaims {
  readonly iss: string
  readonly sub: string
  /** the one resource that the token is for */
  readonly aud: string
  readonly client_id: string
  readonly jti: string
  /** seconds since 1970, as `iat` and `nbf` */
  readonly exp: number
  readonly iat: number
  readonly nbf?: number
  /** scopes separated by single spaces */
  readonly scope?: string
  readonly cnf?: unknown
  readonly [claim: string]: unknown
}

/**
 * Checks the types of claims, not their truth.
 * @param payload of a JWT; `aud` may be a text or a list of exactly one (RFC 7519 section 4.1.3)
 * @returns the claims with `aud` as text, or the name of the first claim that is missing or of the wrong shape
 */
export function readAccessTokenClaims(
  payload: Readonly<Record<string, unknown>>,
): { readonly claims: AccessTokenClaims } | { readonly wrong: string } {
  const aud = Array.isArray(payload.aud) && payload.aud.length === 1 ? payload.aud[0] : payload.aud
  const checks: Record<string, boolean> = {
    iss: isName(payload.iss),
    aud: isName(aud),
    sub: isName(payload.sub),
    client_id: isName(payload.client_id),
    jti: isName(payload.jti),
    exp: isTime(payload.exp),
    iat: isTime(payload.iat),
    nbf: payload.nbf === undefined || isTime(payload.nbf),
    scope: payload.scope === undefined || isScopeText(payload.scope),
  }
  for (const claim in checks) if (!checks[claim]) return { wrong: claim }
  return { claims: { ...payload, aud } as AccessTokenClaims }
}

// Bounded and printable, because gateways hand these on as headers.
function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH && !CONTROL.test(value)
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isScopeText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_SCOPE_LENGTH && parseScopes(value) !== undefined
}
