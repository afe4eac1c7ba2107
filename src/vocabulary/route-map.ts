// The route map: which scopes a call needs, by method and path template. Read once, shared by authorizer and gateway.
import { isScope } from './scopes.ts'

/** The methods that API Gateway can route. */
export const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'] as const

/** All scopes of the list are required, an empty list asks for any valid token; `public` asks for nothing. */
export type RouteRule = readonly string[] | 'public'

/** `literal` fits its text, `name` any one non-empty segment, `rest` one or more segments up to the end. */
export type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'name' | 'rest'; readonly text: string }

export interface Route {
  /** as written in the map: `GET /orders/{id}` */
  readonly name: string
  /** one of METHODS, or `ANY` */
  readonly method: string
  /** `/orders/{id}` */
  readonly template: string
  /** never empty; the template `/` is one empty literal, and a trailing slash is an empty literal at the end */
  readonly segments: readonly Segment[]
  readonly rule: RouteRule
}

/** Routes in order of preference: the first that fits a call is the most specific one. */
export type RouteMap = readonly Route[]

/** `path` says where in the document, `message` what to do there. */
export interface RouteFault {
  readonly path: string
  readonly message: string
}

// Characters that mean themselves in a URL and in a policy; '*', '?' and '%' are left out for that reason.
const LITERAL = /^[A-Za-z0-9._~!$&'()+,;=:@-]+$/
const PARAMETER = /^\{([A-Za-z0-9._:-]+)(\+?)\}$/
const RANK = { literal: 0, name: 1, rest: 2 }

/**
 * Reads a route map like `{ "GET /orders/{id}": ["orders:read"], "GET /health": "public" }`.
 * @param document parsed JSON
 * @returns the routes, most specific first, or every fault of the document
 */
export function readRouteMap(
  document: unknown,
): { readonly ok: true; readonly routes: RouteMap } | { readonly ok: false; readonly faults: readonly RouteFault[] } {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    return { ok: false, faults: [{ path: '', message: 'must be an object like { "GET /orders": ["orders:read"] }' }] }
  }
  const faults: RouteFault[] = []
  const routes: Route[] = []
  const shapes = new Map<string, string>()
  for (const [name, rule] of Object.entries(document)) {
    const note = (message: string, path = name) => faults.push({ path, message })
    const route = readRoute(name, rule, note)
    if (!route) continue
    const shape = `${route.method} ${route.segments.map((s) => (s.kind === 'literal' ? s.text : `{${s.kind}}`)).join('/')}`
    const twin = shapes.get(shape)
    if (twin !== undefined) note(`fits the same calls as "${twin}"; keep one of them`)
    shapes.set(shape, name)
    routes.push(route)
  }
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, routes: routes.sort(bySpecificity) }
}

/**
 * The route map of a constant in code.
 * @throws TypeError naming every fault
 */
export function routeMapOf(document: Readonly<Record<string, RouteRule>>): RouteMap {
  const read = readRouteMap(document)
  if (read.ok) return read.routes
  throw new TypeError(read.faults.map(({ path, message }) => `${path}: ${message}`).join('\n'))
}

type Note = (message: string, path?: string) => void

function readRoute(name: string, rule: unknown, note: Note): Route | undefined {
  const [method = '', template = '', ...more] = name.split(' ')
  if (more.length > 0 || !template.startsWith('/')) {
    note('must be a method, one space and a path, like "GET /orders/{id}"')
    return undefined
  }
  const known = method === 'ANY' || (METHODS as readonly string[]).includes(method)
  if (!known) note(`has the unknown method "${method}"; use one of ${METHODS.join(', ')} or ANY, in capitals`)
  const segments = readTemplate(template, note)
  const required = readRule(name, rule, note)
  return known && segments && required ? { name, method, template, segments, rule: required } : undefined
}

function readTemplate(template: string, note: Note): readonly Segment[] | undefined {
  const texts = template.slice(1).split('/')
  const names = new Set<string>()
  let sound = true
  const fault = (message: string) => {
    note(message)
    sound = false
  }
  const segments = texts.map((text, index): Segment => {
    const last = index === texts.length - 1
    const parameter = PARAMETER.exec(text)
    if (parameter) {
      const [, parameterName = '', greedy] = parameter
      if (names.has(parameterName)) fault(`names {${parameterName}} twice`)
      names.add(parameterName)
      if (greedy && !last) fault(`has ${text} before its end; a greedy parameter must be the last segment`)
      return { kind: greedy ? 'rest' : 'name', text: parameterName }
    }
    if (text === '' && !last) fault('has an empty segment ("//")')
    else if (text === '.' || text === '..') fault(`has the segment "${text}", which no call can reach`)
    else if (text !== '' && !LITERAL.test(text)) {
      fault(`has the segment "${text}"; a segment is plain text without * ? % or a whole {parameter}`)
    }
    return { kind: 'literal', text }
  })
  return sound ? segments : undefined
}

function readRule(name: string, rule: unknown, note: Note): RouteRule | undefined {
  if (rule === 'public') return rule
  if (!Array.isArray(rule)) {
    note('must be "public" or a list of scopes like ["orders:read"]')
    return undefined
  }
  const wrong = rule.flatMap((scope, index) => (typeof scope === 'string' && isScope(scope) ? [] : [index]))
  for (const index of wrong) note('must be one scope: printable ASCII without spaces and quotes', `${name}[${index}]`)
  return wrong.length === 0 ? rule : undefined
}

// As API Gateway prefers: at the first segment where two templates differ in kind, a literal goes before a parameter and a
// parameter before a greedy one; for one template a method goes before ANY.
function bySpecificity(one: Route, other: Route): number {
  for (let index = 0; index < Math.min(one.segments.length, other.segments.length); index++) {
    const difference = RANK[one.segments[index]!.kind] - RANK[other.segments[index]!.kind]
    if (difference !== 0) return difference
  }
  // Two lengths never fit one call here; comparing them keeps the order transitive.
  const depth = one.segments.length - other.segments.length
  return depth || Number(one.method === 'ANY') - Number(other.method === 'ANY')
}
