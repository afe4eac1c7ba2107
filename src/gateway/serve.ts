// The local API Gateway: takes a call, finds its route, asks the authorizer, and passes the call on or answers it itself.
// Results are never cached (TTL 0).
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OperatorFault } from '../vocabulary/fault.ts'
import type { RouteMap } from '../vocabulary/route-map.ts'
import { answer, answerMissing, answerNoRoute, type GatewayAnswer, type Invocation, outcomeOf } from './answer.ts'
import type { Backend } from './backend.ts'
import { authorizerEvent, callArn, type EventKind, headerValues, type IncomingCall } from './event.ts'
import { type RoutedCall, routeCall } from './routes.ts'

/** One line per call, for the terminal. `reason` never reaches the caller. */
export interface GatewayEntry {
  readonly time: Date
  readonly requestId: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly reason?: string
  readonly milliseconds: number
}

export interface GatewayParts {
  /** 0 takes any free port */
  readonly port: number
  /** addresses to listen on; those that this machine does not have are left out */
  readonly hosts: readonly string[]
  readonly routes: RouteMap
  /** the Lambda: an event in, an answer out, or a throw */
  readonly invoke: (event: unknown) => Promise<unknown>
  readonly backend: Backend
  /** which kind of API to play; default `rest`, whose 401 and 403 differ as a client expects */
  readonly kind?: EventKind
  readonly now?: () => Date
  readonly log?: (entry: GatewayEntry) => void
}

export interface Gateway {
  readonly port: number
  /** Lets calls under way end, at most two seconds, and frees the port. */
  close(): Promise<void>
}

const MAX_BODY = 1024 * 1024
const MAX_ARN_LENGTH = 1600
const AUTHORIZER_TIMEOUT = 10_000
const DRAIN = 2_000

/**
 * Starts the gateway.
 * @throws OperatorFault where the port is in use or no address can be listened on
 */
export async function startGateway(parts: GatewayParts): Promise<Gateway> {
  const servers: Server[] = []
  let port = parts.port
  const close = () => Promise.all(servers.map(stop)).then(() => {})
  try {
    for (const host of parts.hosts) {
      const server = createServer((request, response) => {
        handle(parts, request, response).catch(() => response.destroy())
      })
      if (await listen(server, host, port)) servers.push(server)
      if (servers[0]) port = (servers[0].address() as AddressInfo).port
    }
    if (servers.length === 0) {
      throw new OperatorFault(
        `None of ${parts.hosts.join(', ')} is an address of this machine.`,
        'Set HOST to one that is.',
      )
    }
  } catch (error) {
    await close()
    throw error
  }
  return { port, close }
}

async function handle(parts: GatewayParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { now = () => new Date(), log = () => {} } = parts
  const call = readCall(request, now())
  let result: GatewayAnswer | Awaited<ReturnType<Backend>>
  try {
    result = await serve(parts, call, request)
  } catch (error) {
    result = answer(502, { message: 'Internal server error' }, `the API failed: ${(error as Error).message}`)
  }
  response.writeHead(result.status, { 'x-amzn-requestid': call.id, ...result.headers }).end(result.body)
  const { id: requestId, time, method, path } = call
  const reason = 'reason' in result ? result.reason : undefined
  log({ time, requestId, method, path, status: result.status, reason, milliseconds: now().getTime() - time.getTime() })
}

async function serve(parts: GatewayParts, call: IncomingCall, request: IncomingMessage) {
  const { routes, backend, kind = 'rest' } = parts
  const route = routeCall(routes, call.method, call.path)
  if (!route) return answerNoRoute(kind)
  const arn = callArn(kind, call)
  if (arn.length > MAX_ARN_LENGTH) return answer(414, { message: 'Request-URI Too Long' }, 'the path is too long')
  let authorizer: Readonly<Record<string, unknown>> = {}
  if (route.guarded) {
    if (!headerValues(call, 'authorization')[0]) return answerMissing(kind)
    const outcome = outcomeOf(kind, await askAuthorizer(parts, call, route), arn)
    if (!outcome.pass) return outcome.answer
    authorizer = outcome.context
  }
  const body = await readBody(request)
  if (body === undefined) return answer(413, { message: 'Request Too Long' }, 'the body is too long')
  return backend({
    method: call.method,
    route: route.template,
    path: call.path,
    parameters: route.parameters,
    query: new URLSearchParams(call.query),
    headers: Object.fromEntries(
      Object.entries(request.headersDistinct).map(([name, values]) => [name, values!.join(',')]),
    ),
    body,
    authorizer,
  })
}

// Event and answer cross as JSON, as they do in front of a real function.
async function askAuthorizer(
  { invoke, kind = 'rest' }: GatewayParts,
  call: IncomingCall,
  route: RoutedCall,
): Promise<Invocation> {
  let timer: NodeJS.Timeout | undefined
  try {
    const event = JSON.parse(JSON.stringify(authorizerEvent(kind, call, route)))
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${AUTHORIZER_TIMEOUT / 1000} s`)), AUTHORIZER_TIMEOUT)
    })
    const value = await Promise.race([invoke(event), late])
    return { ended: 'returned', value: value === undefined ? undefined : JSON.parse(JSON.stringify(value)) }
  } catch (error) {
    return { ended: 'threw', message: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}

function readCall(request: IncomingMessage, time: Date): IncomingCall {
  const [path = '', ...query] = (request.url ?? '').split('?')
  return {
    id: randomUUID(),
    time,
    method: request.method ?? '',
    path,
    query: query.join('?'),
    rawHeaders: request.rawHeaders,
    protocol: `HTTP/${request.httpVersion}`,
    sourceIp: request.socket.remoteAddress ?? '',
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function listen(server: Server, host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') return resolve(false)
      const taken = error.code === 'EADDRINUSE'
      reject(
        new OperatorFault(
          `Port ${port} on ${host}, where the demo API's gateway belongs, ${taken ? 'is in use' : `cannot be opened: ${error.message}`}.`,
          'Free the port, set GATEHOUSE_GATEWAY_PORT to another one, or start with --no-demo.',
          { cause: error },
        ),
      )
    })
    server.listen({ host, port }, () => resolve(true))
  })
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN)
  server.closeIdleConnections()
  await closed
  clearTimeout(timer)
}
