// Every kind of audit entry. One entry per change of state; issuing a JWT is no change of state and has none.

export const AUDIT_KINDS = [
  'account.added',
  'account.changed',
  'account.disabled',
  'account.removed',
  'account.revoked',
  'account.enabled',
  'account.password-set',
  'account.link-made',
  'account.admin-made',
  'account.signed-in',
  'account.signed-out',
  'client.added',
  'client.changed',
  'client.disabled',
  'client.enabled',
  'client.removed',
  'client.revoked',
  'client.secret-revoked',
  'client.secret-rotated',
  'ring.rewrapped',
  'ring.version-added',
  'ring.version-used',
  'ring.version-dropped',
  'resource.added',
  'resource.changed',
  'resource.removed',
  'consent.given',
  'consent.refused',
  'consent.withdrawn',
  'grant.started',
  'grant.changed',
  'grant.ended',
  'session.ended',
  'code.redeemed',
  'code.replayed',
  'family.started',
  'family.rotated',
  'family.ended',
  'token.issued',
  'token.revoked',
  'database.promoted',
  'key.published',
  'key.activated',
  'key.retired',
  'key.removed',
  'key.compromised',
] as const

export type AuditKind = (typeof AUDIT_KINDS)[number]

export interface AuditEntry {
  readonly kind: AuditKind
  /** who acted: an account id, `client:<id>`, `operator` for the command line, `server` for what is done on
   *  schedule, or `anonymous` */
  readonly actor: string
  /** what it happened to: the id of an account, client, resource, grant, family or signing key, a version of the key ring, or the
   *  timeline of a database */
  readonly subject?: string
  /** before and after, reason; never a secret, code, token or password */
  readonly detail?: Readonly<Record<string, unknown>>
}

/** Appends an entry to the unit of work at hand: it is written by the same commit as the change it tells of. */
export type Audit = (entry: AuditEntry) => Promise<void>
