// Builds the events that API Gateway sends to a Lambda authorizer, field by field: REST REQUEST, and HTTP API format 2.0.
import type { RoutedCall } from './routes.ts'

/** The authorizer events that this gateway speaks. */
export type EventKind = 'rest' | 'http'

/** A request as it came over the wire. */
export interface IncomingCall {
  readonly id: string
  readonly time: Date
  readonly method: string
  /** percent-encoded, as sent */
  readonly path: string
  /** after the question mark, as sent */
  readonly query: string
  /** names and values in turn, in the client's spelling and order */
  readonly rawHeaders: readonly string[]
  readonly protocol: string
  readonly sourceIp: string
}

const ACCOUNT = '123456789012'
const API = 'gatehouse0'
const REGION = 'eu-west-1'
const DOMAIN = `${API}.execute-api.${REGION}.amazonaws.com`
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** @returns the resource name of one call, with its concrete path */
export function callArn(kind: EventKind, { method, path }: Pick<IncomingCall, 'method' | 'path'>): string {
  return `arn:aws:execute-api:${REGION}:${ACCOUNT}:${API}/${stageOf(kind)}/${method}${path}`
}

/** @returns values of a header whatever its spelling, in order */
export function headerValues({ rawHeaders }: Pick<IncomingCall, 'rawHeaders'>, name: string): readonly string[] {
  return pairs(rawHeaders).flatMap(([spelling, value]) => (spelling.toLowerCase() === name ? [value] : []))
}

/** @returns the event that asks about `call` on `route` */
export function authorizerEvent(kind: EventKind, call: IncomingCall, route: RoutedCall): object {
  return kind === 'rest' ? restEvent(call, route) : httpEvent(call, route)
}

function restEvent(call: IncomingCall, { template, parameters }: RoutedCall): object {
  const headers = pairs(call.rawHeaders)
  const query = [...new URLSearchParams(call.query)]
  return {
    type: 'REQUEST',
    methodArn: callArn('rest', call),
    resource: template,
    path: call.path,
    httpMethod: call.method,
    headers: Object.fromEntries(headers), // of a repeated header, the last value
    multiValueHeaders: grouped(headers),
    queryStringParameters: Object.fromEntries(query),
    multiValueQueryStringParameters: grouped(query),
    pathParameters: parameters,
    stageVariables: {},
    requestContext: {
      resourceId: 'local00',
      resourcePath: template,
      httpMethod: call.method,
      extendedRequestId: call.id,
      requestTime: commonLogTime(call.time),
      requestTimeEpoch: call.time.getTime(),
      path: `/${stageOf('rest')}${call.path}`,
      accountId: ACCOUNT,
      protocol: call.protocol,
      stage: stageOf('rest'),
      domainPrefix: API,
      domainName: DOMAIN,
      requestId: call.id,
      deploymentId: 'local00',
      apiId: API,
      identity: {
        cognitoIdentityPoolId: null,
        accountId: null,
        cognitoIdentityId: null,
        caller: null,
        sourceIp: call.sourceIp,
        principalOrgId: null,
        accessKey: null,
        cognitoAuthenticationType: null,
        cognitoAuthenticationProvider: null,
        userArn: null,
        userAgent: headerValues(call, 'user-agent')[0] ?? null,
        user: null,
      },
    },
  }
}

function httpEvent(call: IncomingCall, { key, parameters }: RoutedCall): object {
  const headers = grouped(pairs(call.rawHeaders).map(([name, value]) => [name.toLowerCase(), value]))
  const { cookie: cookies = [], ...others } = headers
  const query = grouped([...new URLSearchParams(call.query)])
  return {
    version: '2.0',
    type: 'REQUEST',
    routeArn: callArn('http', call),
    identitySource: headerValues(call, 'authorization'),
    routeKey: key,
    rawPath: call.path,
    rawQueryString: call.query,
    cookies: cookies.flatMap((line) => line.split(/; */)),
    headers: joined(others),
    queryStringParameters: joined(query),
    pathParameters: parameters,
    stageVariables: {},
    requestContext: {
      accountId: ACCOUNT,
      apiId: API,
      domainName: DOMAIN,
      domainPrefix: API,
      http: {
        method: call.method,
        path: call.path,
        protocol: call.protocol,
        sourceIp: call.sourceIp,
        userAgent: headerValues(call, 'user-agent')[0] ?? '',
      },
      requestId: call.id,
      routeKey: key,
      stage: stageOf('http'),
      time: commonLogTime(call.time),
      timeEpoch: call.time.getTime(),
    },
  }
}

function stageOf(kind: EventKind): string {
  return kind === 'rest' ? 'local' : '$default'
}

type Pair = readonly [name: string, value: string]

function pairs(rawHeaders: readonly string[]): readonly Pair[] {
  return rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] as string] as const] : [],
  )
}

function grouped(all: readonly Pair[]): Record<string, string[]> {
  const groups = Object.groupBy(all, ([name]) => name)
  return Object.fromEntries(Object.entries(groups).map(([name, group = []]) => [name, group.map(([, value]) => value)]))
}

function joined(groups: Record<string, string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).map(([name, values]) => [name, values.join(',')]))
}

// 09/Apr/2026:12:34:56 +0000
function commonLogTime(time: Date): string {
  const day = String(time.getUTCDate()).padStart(2, '0')
  return `${day}/${MONTHS[time.getUTCMonth()]}/${time.getUTCFullYear()}:${time.toISOString().slice(11, 19)} +0000`
}
