// Reads what API Gateway sends: a REST REQUEST event, or an HTTP API event of format 2.0. Anything else is not understood.
import { MAX_TOKEN_LENGTH } from '../vocabulary/access-token.ts'
import { type Refusal, refuse } from '../vocabulary/verdict.ts'

export type Credential = { readonly ok: true; readonly token: string } | Refusal

/** The call that a gateway asks about, free of the event's form. */
export interface GatewayCall {
  readonly kind: 'rest' | 'http'
  /** of this very call; empty for HTTP APIs, whose simple answer names no resource */
  readonly arn: string
  readonly method: string
  /** percent-encoded, without stage and query */
  readonly path: string
  /** the template that the gateway routed to, like `/orders/{id}`, where the event names one */
  readonly template?: string
  readonly credential: Credential
  readonly requestId?: string
}

const MAX_ARN_LENGTH = 1600
const ARN = /^arn:[\w-]+:execute-api:[\w-]+:[\w-]+:[\w-]+\/[\w$-]+\/([A-Z]+)\/(.*)$/s
// RFC 6750 section 2.1; a comma would be two headers joined into one.
const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i

/** @returns the call, or undefined where the event is of no kind that this authorizer serves */
export function readEvent(event: unknown): GatewayCall | undefined {
  if (!isObject(event) || event.type !== 'REQUEST') return undefined
  if (isHttpEvent(event)) return readHttpEvent(event)
  return event.version === undefined ? readRestEvent(event) : undefined
}

/** @returns whether the sender is an HTTP API that expects a simple answer */
export function isHttpEvent(event: unknown): boolean {
  return isObject(event) && event.version === '2.0'
}

// Method and path come from the ARN, because the ARN is what the gateway holds our policy against.
function readRestEvent(event: Json): GatewayCall | undefined {
  const { methodArn } = event
  if (typeof methodArn !== 'string' || methodArn.length > MAX_ARN_LENGTH) return undefined
  const [, method, path] = ARN.exec(methodArn) ?? []
  if (method === undefined) return undefined
  return {
    kind: 'rest',
    arn: methodArn,
    method,
    path: `/${path}`,
    template: text(event.resource),
    credential: readCredential(authorizationValues(event.headers, event.multiValueHeaders)),
    requestId: text(asObject(event.requestContext).requestId),
  }
}

function readHttpEvent(event: Json): GatewayCall | undefined {
  const context = asObject(event.requestContext)
  const method = text(asObject(context.http).method)
  const rawPath = text(event.rawPath)
  if (method === undefined || rawPath === undefined) return undefined
  return {
    kind: 'http',
    arn: '',
    method,
    path: withoutStage(rawPath, context),
    template: /^[A-Z]+ (\/.*)$/.exec(text(event.routeKey) ?? '')?.[1],
    credential: readCredential(authorizationValues(event.headers, undefined)),
    requestId: text(context.requestId),
  }
}

// On the API's own domain a named stage is the first segment of the path; on a custom domain it is not there.
function withoutStage(rawPath: string, { stage, apiId, domainName }: Json): string {
  const ownDomain = text(domainName)?.startsWith(`${apiId}.`)
  if (!ownDomain || stage === '$default' || !rawPath.startsWith(`/${stage}/`)) return rawPath
  return rawPath.slice(`/${stage}`.length)
}

// REST keeps the client's spelling of names, and keeps all values of a repeated header in the second map only.
function authorizationValues(headers: unknown, multiValueHeaders: unknown): readonly unknown[] {
  const named = (map: unknown) =>
    Object.entries(asObject(map)).flatMap(([name, value]) => (name.toLowerCase() === 'authorization' ? [value] : []))
  const single = named(headers)
  const multiple = named(multiValueHeaders).flat()
  const agree =
    single.length <= 1 &&
    multiple.length <= 1 &&
    (multiple.length === 0 || single.length === 0 || single[0] === multiple[0])
  return agree && multiple.length > 0 ? multiple : agree ? single : [...single, ...multiple]
}

function readCredential(values: readonly unknown[]): Credential {
  const [value] = values
  if (values.length > 1) return refuse('malformed', 'more than one Authorization value')
  if (value === undefined || value === null || value === '') return refuse('missing')
  if (typeof value !== 'string') return refuse('malformed', 'Authorization is not a text')
  if (value.length > MAX_TOKEN_LENGTH + 'Bearer '.length) return refuse('malformed', 'Authorization is too long')
  const token = BEARER.exec(value)?.[1]
  if (token !== undefined) return { ok: true, token }
  return /^Bearer(?: |$)/i.test(value)
    ? refuse('malformed', 'not one bearer token')
    : refuse('wrong-kind', 'not a bearer token')
}

type Json = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// Empty maps arrive as {} or as null.
function asObject(value: unknown): Json {
  return isObject(value) ? value : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
