// Puts the pieces of a decision together: the route's rule, the credential's facts, the table of the vocabulary.
import type { VerifiedToken } from '../verifier/access-token.ts'
import type { AccessTokenClaims } from '../vocabulary/access-token.ts'
import { type Decision, decide, type Facts } from '../vocabulary/decision.ts'
import { matchRoute } from '../vocabulary/match-route.ts'
import type { RouteMap, RouteRule } from '../vocabulary/route-map.ts'
import { parseScopes } from '../vocabulary/scopes.ts'
import type { GatewayCall } from './event.ts'

export interface AuthorizeParts {
  readonly routes: RouteMap
  readonly verify: (token: string) => Promise<VerifiedToken>
}

export interface Authorization {
  readonly decision: Decision
  readonly facts: Facts
  /** of the verified token; undefined on a public route without a valid one */
  readonly claims?: AccessTokenClaims
  /** name of the route that the call belongs to */
  readonly route?: string
  readonly kid?: string
  /** for the operator's log */
  readonly detail?: string
}

/** Decides one call. A token is verified on public routes too, so that the answer may be cached for the other routes. */
export async function authorize({ routes, verify }: AuthorizeParts, call: GatewayCall): Promise<Authorization> {
  const match = matchRoute(routes, call.method, call.path)
  const required = strictest(match?.route.rule, templateRule(routes, call))
  const verified = call.credential.ok ? await verify(call.credential.token) : call.credential
  const facts = factsOf(verified)
  const decision = decide(facts, { required })
  return {
    decision,
    facts,
    claims: verified.ok ? verified.claims : undefined,
    route: match?.route.name,
    kid: 'kid' in verified ? verified.kid : undefined,
    detail: (verified.ok ? undefined : verified.detail) ?? (decision.outcome === 'allow' ? undefined : decision.detail),
  }
}

/** @returns what `decide` needs to know of a verified or refused token */
export function factsOf(verified: VerifiedToken): Facts {
  if (!verified.ok) return { active: false, reason: verified.reason, scopes: [] }
  const { scope = '', aud, cnf } = verified.claims
  return { active: true, scopes: parseScopes(scope) ?? [], audience: aud, cnf }
}

// A gateway may decode a path before it routes and hands it on, so that we read another route from it than the gateway
// serves. Where its own template is a route of the map, that route's rule must be satisfied too. Greedy templates say
// nothing: behind them the map may be finer than the gateway.
function templateRule(routes: RouteMap, { method, template }: GatewayCall): RouteRule | undefined {
  if (template === undefined || template.includes('+}')) return 'public'
  const named = routes.filter((route) => route.template === template)
  const route = named.find((candidate) => candidate.method === method) ?? named.find(({ method: any }) => any === 'ANY')
  return route ? route.rule : 'public'
}

function strictest(one: RouteRule | undefined, other: RouteRule | undefined): RouteRule | undefined {
  if (one === undefined || other === undefined) return undefined
  if (one === 'public') return other
  return other === 'public' ? one : [...new Set([...one, ...other])]
}
