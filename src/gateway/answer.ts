// What API Gateway makes of the authorizer's answer: pass on with a context, or one of its own responses.
import type { EventKind } from './event.ts'
import { matchPolicy } from './policy-match.ts'

/** How the invocation of the authorizer ended. */
export type Invocation =
  | { readonly ended: 'returned'; readonly value: unknown }
  | { readonly ended: 'threw'; readonly message: string }

export interface GatewayAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** why, for the gateway's log */
  readonly reason: string
}

export type Outcome =
  | { readonly pass: true; readonly context: Readonly<Record<string, unknown>> }
  | { readonly pass: false; readonly answer: GatewayAnswer }

// REST APIs answer with gateway responses, which carry the WWW-Authenticate that we advise to configure (RFC 6750
// section 3). HTTP APIs have no such thing.
const REST = {
  unauthorized: (reason: string) =>
    answer(401, { message: 'Unauthorized' }, reason, {
      'x-amzn-errortype': 'UnauthorizedException',
      'www-authenticate': 'Bearer',
    }),
  denied: (text: string, reason: string) =>
    answer(403, { Message: `User is not authorized to access this resource${text}` }, reason, {
      'x-amzn-errortype': 'AccessDeniedException',
      'www-authenticate': 'Bearer error="insufficient_scope"',
    }),
  broken: (reason: string) =>
    answer(500, { message: null }, reason, { 'x-amzn-errortype': 'AuthorizerConfigurationException' }),
  noRoute: () =>
    answer(403, { message: 'Missing Authentication Token' }, 'no such route', {
      'x-amzn-errortype': 'MissingAuthenticationTokenException',
    }),
}

const HTTP = {
  unauthorized: (reason: string) => answer(401, { message: 'Unauthorized' }, reason),
  denied: (reason: string) => answer(403, { message: 'Forbidden' }, reason),
  broken: (reason: string) => answer(500, { message: 'Internal Server Error' }, reason),
  noRoute: () => answer(404, { message: 'Not Found' }, 'no such route'),
}

/** @returns the answer to a call without an Authorization header; the authorizer is not asked */
export function answerMissing(kind: EventKind): GatewayAnswer {
  return (kind === 'rest' ? REST : HTTP).unauthorized('missing')
}

/** @returns the answer to a call that no route serves */
export function answerNoRoute(kind: EventKind): GatewayAnswer {
  return (kind === 'rest' ? REST : HTTP).noRoute()
}

/** @returns what becomes of the call with resource name `arn` after the authorizer was asked */
export function outcomeOf(kind: EventKind, invocation: Invocation, arn: string): Outcome {
  try {
    return kind === 'rest' ? restOutcome(invocation, arn) : httpOutcome(invocation)
  } catch (error) {
    const reason = `the authorizer's answer has the wrong shape: ${(error as Error).message}`
    return { pass: false, answer: (kind === 'rest' ? REST : HTTP).broken(reason) }
  }
}

function restOutcome(invocation: Invocation, arn: string): Outcome {
  if (invocation.ended === 'threw') {
    // Exactly this text, and nothing else, is a 401.
    if (invocation.message === 'Unauthorized')
      return { pass: false, answer: REST.unauthorized('refused by the authorizer') }
    return { pass: false, answer: REST.broken(`the authorizer failed: ${invocation.message}`) }
  }
  const { principalId, policyDocument, context = {} } = asObject(invocation.value)
  if (typeof principalId !== 'string' || principalId === '') throw new TypeError('no principalId')
  for (const [name, value] of Object.entries(asObject(context))) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) throw new TypeError(`context.${name} is not flat`)
  }
  const reason = String(asObject(context).reason ?? '')
  const verdict = matchPolicy(policyDocument, { action: 'execute-api:Invoke', arn })
  if (verdict === 'explicit-deny')
    return { pass: false, answer: REST.denied(' with an explicit deny', reason || verdict) }
  if (verdict === 'implicit-deny') return { pass: false, answer: REST.denied('', reason || verdict) }
  const texts = Object.entries(asObject(context)).map(([name, value]) => [name, String(value)])
  return { pass: true, context: { ...Object.fromEntries(texts), principalId } }
}

function httpOutcome(invocation: Invocation): Outcome {
  if (invocation.ended === 'threw') {
    return { pass: false, answer: HTTP.broken(`the authorizer failed: ${invocation.message}`) }
  }
  const { isAuthorized, context = {} } = asObject(invocation.value)
  if (typeof isAuthorized !== 'boolean') throw new TypeError('no isAuthorized')
  if (isAuthorized) return { pass: true, context: asObject(context) }
  return { pass: false, answer: HTTP.denied(String(asObject(context).reason ?? 'not authorized')) }
}

/** @returns one of the gateway's own answers, in JSON */
export function answer(
  status: number,
  body: object,
  reason: string,
  headers: Readonly<Record<string, string>> = {},
): GatewayAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body), reason }
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object')
  return value as Record<string, unknown>
}
