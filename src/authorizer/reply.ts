// Writes a decision the way API Gateway wants it.
import { decide } from '../vocabulary/decision.ts'
import type { Authorization } from './authorize.ts'
import type { GatewayCall } from './event.ts'
import type { PolicyDocument, PolicyRequest } from './policy.ts'

export interface ReplyParts {
  readonly compile: (request: PolicyRequest) => PolicyDocument
  /** what an HTTP API gets where the decision is 401; REST APIs always get the throw */
  readonly httpUnauthorized: 'deny' | 'throw'
}

/** Flat texts only: REST APIs refuse anything else. */
export type Context = Readonly<Record<string, string>>

/**
 * @returns for REST a policy (allow and 403), for an HTTP API `isAuthorized`; `context` goes to the backend and into the
 *   gateway's access log. Undefined where the gateway must be told by a throw
 */
export function reply(
  { compile, httpUnauthorized }: ReplyParts,
  call: GatewayCall,
  { decision, facts, claims }: Authorization,
): object | undefined {
  const allowed = decision.outcome === 'allow'
  if (decision.outcome === 401 && (call.kind === 'rest' || httpUnauthorized === 'throw')) return undefined
  const context: Context = {
    ...(claims && { sub: claims.sub, client_id: claims.client_id, jti: claims.jti, scope: claims.scope ?? '' }),
    ...(!allowed && { reason: decision.reason }),
  }
  if (call.kind === 'http') return { isAuthorized: allowed, context }
  const policyDocument = compile({
    arn: call.arn,
    allowed,
    allows: ({ rule }) => decide(facts, { required: rule }).outcome === 'allow',
    key: facts.active && facts.cnf === undefined ? `scopes ${facts.scopes.join(' ')}` : 'public only',
  })
  return { principalId: claims?.sub ?? 'anonymous', policyDocument, context }
}
