// The one place where a credential's facts and a call become allow, 401 or 403.
import type { RouteRule } from './route-map.ts'
import { missingScopes } from './scopes.ts'
import type { Reason } from './verdict.ts'

/** What is known of the presented credential, wherever it was learned: from a verified JWT, or by introspection. */
export interface Facts {
  /** whether the credential is one of ours and in force */
  readonly active: boolean
  /** why it is not active; `missing` when none was presented */
  readonly reason?: Reason
  readonly scopes: readonly string[]
  readonly audience?: string
  /** the confirmation claim (RFC 7800) of a credential that is bound to a key or certificate */
  readonly cnf?: unknown
}

export interface AskedCall {
  /** what the route asks for; undefined where no route fits */
  readonly required: RouteRule | undefined
  /** the resource that is called; left out where the facts were already checked against it */
  readonly audience?: string
}

export type Decision =
  | { readonly outcome: 'allow' }
  | { readonly outcome: 401 | 403; readonly reason: Reason; readonly detail?: string }

// 401: another credential may help. 403: this one is understood and not enough. `unavailable` is a 401 because a gateway
// caches a Deny but never a 401, so calls pass again as soon as keys can be had.
const STATUS: Readonly<Record<Reason, 401 | 403>> = {
  missing: 401,
  malformed: 401,
  'wrong-kind': 401,
  'bad-signature': 401,
  'unknown-key': 401,
  'wrong-issuer': 401,
  'wrong-audience': 401,
  'wrong-type': 401,
  expired: 401,
  'not-yet-valid': 401,
  inactive: 401,
  unknown: 401,
  revoked: 401,
  'owner-disabled': 401,
  'client-disabled': 401,
  'proof-missing': 401,
  'proof-invalid': 401,
  'proof-replayed': 401,
  'wrong-certificate': 401,
  'address-not-allowed': 403,
  'scope-missing': 403,
  'no-route-rule': 403,
  throttled: 403,
  'quota-used': 403,
  unavailable: 401,
}

interface Row {
  readonly applies: (facts: Facts, call: AskedCall) => boolean
  readonly reason: (facts: Facts) => Reason
}

// Read from the top; the first row that applies refuses. A stranger without a credential learns nothing about routes.
const ROWS: readonly Row[] = [
  { applies: ({ active }) => !active, reason: ({ reason }) => reason ?? 'inactive' },
  {
    applies: (facts, { audience }) => audience !== undefined && facts.audience !== audience,
    reason: () => 'wrong-audience',
  },
  // A bound token without a checked proof is never a bearer token (RFC 8705 section 3, RFC 9449 section 7.2).
  { applies: ({ cnf }) => cnf !== undefined, reason: () => 'proof-missing' },
  { applies: (_, { required }) => required === undefined, reason: () => 'no-route-rule' },
  { applies: (facts, call) => lacking(facts, call).length > 0, reason: () => 'scope-missing' },
]

/**
 * Decides a call.
 * @returns `allow`, or the HTTP status that a gateway answers, with the reason; `detail` names missing scopes
 */
export function decide(facts: Facts, call: AskedCall): Decision {
  if (call.required === 'public') return { outcome: 'allow' }
  const row = ROWS.find(({ applies }) => applies(facts, call))
  if (!row) return { outcome: 'allow' }
  const reason = row.reason(facts)
  const detail = reason === 'scope-missing' ? lacking(facts, call).join(' ') : ''
  return { outcome: STATUS[reason], reason, ...(detail && { detail }) }
}

function lacking({ scopes }: Facts, { required }: AskedCall): readonly string[] {
  return Array.isArray(required) ? missingScopes(required, scopes) : []
}
