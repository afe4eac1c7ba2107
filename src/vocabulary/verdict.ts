// Why a call was refused: the closed list that server, authorizer and gateway log share.

/** Every reason a credential can be refused for. */
export const REASONS = [
  'missing',
  'malformed',
  'wrong-kind',
  'bad-signature',
  'unknown-key',
  'wrong-issuer',
  'wrong-audience',
  'wrong-type',
  'expired',
  'not-yet-valid',
  'inactive',
  'unknown',
  'revoked',
  'owner-disabled',
  'client-disabled',
  'proof-missing',
  'proof-invalid',
  'proof-replayed',
  'wrong-certificate',
  'address-not-allowed',
  'scope-missing',
  'no-route-rule',
  'throttled',
  'quota-used',
  'unavailable',
] as const

export type Reason = (typeof REASONS)[number]

/** A refusal is a value; `detail` is for the operator's log and never reaches the caller. */
export interface Refusal {
  readonly ok: false
  readonly reason: Reason
  readonly detail?: string
}

/** @returns a refusal for `reason` */
export function refuse(reason: Reason, detail?: string): Refusal {
  return detail === undefined ? { ok: false, reason } : { ok: false, reason, detail }
}
