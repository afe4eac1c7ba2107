// Verifies JWT access tokens (RFC 9068, RFC 8725). The one verification code of server, authorizer and users' own APIs.
import { errors, type JWTPayload, jwtVerify } from 'jose'
import {
  ACCESS_TOKEN_TYPE,
  type AccessTokenClaims,
  CLOCK_TOLERANCE,
  MAX_TOKEN_LENGTH,
  readAccessTokenClaims,
} from '../vocabulary/access-token.ts'
import { type Reason, type Refusal, refuse } from '../vocabulary/verdict.ts'
import type { KeySet } from './key-set.ts'

export interface VerifierSettings {
  /** the only accepted `iss`, compared byte by byte */
  readonly issuer: string
  /** the only accepted `aud`, or several; null says that the caller itself compares `claims.aud` */
  readonly audience: string | readonly string[] | null
  readonly keys: KeySet
  /** default RS256 and ES256; asymmetric ones only */
  readonly algorithms?: readonly string[]
  readonly now: () => Date
  /** seconds since `iat` after which a token is refused whatever its `exp` says; default one day */
  readonly maxAge?: number
}

export type VerifiedToken =
  | { readonly ok: true; readonly claims: AccessTokenClaims; readonly kid?: string }
  | (Refusal & { readonly kid?: string })

const ASYMMETRIC = /^(?:RS|PS|ES)(?:256|384|512)$|^EdDSA$|^Ed25519$/

/**
 * Makes a verifier of access tokens.
 * @returns a function from the compact text of a token to its claims or a refusal: `malformed`, `wrong-kind` (opaque or
 *   encrypted), `bad-signature` (also any algorithm not listed), `unknown-key`, `wrong-issuer`, `wrong-type`,
 *   `wrong-audience`, `expired`, `not-yet-valid`, or `unavailable` where keys cannot be had. It never rejects.
 * @throws TypeError without issuer, audience (null counts), keys, or with a symmetric algorithm
 */
export function createAccessTokenVerifier(settings: VerifierSettings): (token: string) => Promise<VerifiedToken> {
  const { issuer, audience, keys, now, maxAge = 86_400 } = settings
  const algorithms = [...(settings.algorithms ?? ['RS256', 'ES256'])]
  if (!issuer) throw new TypeError('A verifier needs an issuer')
  if (audience === undefined || audience?.length === 0) throw new TypeError('A verifier needs an audience')
  if (typeof keys?.getKey !== 'function') throw new TypeError('A verifier needs a key set')
  const unfit = algorithms.filter((alg) => !ASYMMETRIC.test(alg))
  if (algorithms.length === 0 || unfit.length > 0)
    throw new TypeError(`A verifier cannot use ${unfit.join(', ') || 'no algorithm'}`)
  const checks = {
    issuer,
    ...(audience === null ? {} : { audience: typeof audience === 'string' ? audience : [...audience] }),
    algorithms,
    typ: ACCESS_TOKEN_TYPE,
    requiredClaims: ['aud', 'exp'],
    clockTolerance: CLOCK_TOLERANCE,
    maxTokenAge: maxAge,
  }

  return async function verifyAccessToken(token) {
    const junk = refuseShape(token)
    if (junk) return junk
    let kid: string | undefined
    try {
      const { payload } = await jwtVerify(
        token,
        async (header, { payload: encoded }) => {
          if (typeof header.kid === 'string') kid = header.kid
          if (header.crit !== undefined) throw new Refused(refuse('malformed', 'critical header parameters'))
          // Asked before any key, so that other issuers' tokens cause no key request and are named rightly.
          if (peekIssuer(encoded) !== issuer) throw new Refused(refuse('wrong-issuer'))
          const found = await keys.getKey({ alg: header.alg, kid: header.kid })
          if (!found.ok) throw new Refused(found)
          return found.key
        },
        { ...checks, currentDate: now() },
      )
      return { ...accept(payload), kid }
    } catch (error) {
      return { ...explain(error), kid }
    }
  }
}

/** Carries a refusal out of jose's key callback. */
class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.reason)
    this.refusal = refusal
  }
}

function refuseShape(token: string): Refusal | undefined {
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH)
    return refuse('malformed', 'not a text, or too long')
  if (token.startsWith('gth_')) return refuse('wrong-kind', 'an opaque value, not a JWT')
  const parts = token.split('.').length
  if (parts === 5) return refuse('wrong-kind', 'an encrypted token')
  return parts === 3 ? undefined : refuse('malformed', 'not a JWT')
}

function peekIssuer(encodedPayload: string | Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(encodedPayload as string, 'base64url').toString()).iss
  } catch {
    throw new Refused(refuse('malformed', 'claims are not JSON'))
  }
}

function accept(payload: JWTPayload): { ok: true; claims: AccessTokenClaims } | Refusal {
  const read = readAccessTokenClaims(payload)
  if ('claims' in read) return { ok: true, claims: read.claims }
  return refuse(read.wrong === 'aud' ? 'wrong-audience' : 'malformed', `claim ${read.wrong}`)
}

// Claims whose failure has a reason of its own, whether missing, of the wrong type or of the wrong value.
const CLAIM_REASONS: Readonly<Record<string, Reason>> = {
  typ: 'wrong-type',
  iss: 'wrong-issuer',
  aud: 'wrong-audience',
}

function explain(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal
  if (error instanceof errors.JWTExpired) return refuse('expired', error.message)
  if (error instanceof errors.JWTClaimValidationFailed) {
    const early = error.reason === 'check_failed' && (error.claim === 'nbf' || error.claim === 'iat')
    return refuse(early ? 'not-yet-valid' : (CLAIM_REASONS[error.claim] ?? 'malformed'), error.message)
  }
  if (
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSENotSupported
  ) {
    return refuse('malformed', error.message)
  }
  // A failed signature, an algorithm that is not listed, a key that does not fit the algorithm.
  return refuse('bad-signature', (error as Error).message)
}
