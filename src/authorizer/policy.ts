// The policy compiler. A gateway may cache a policy under the token alone and hold other calls against it, so a policy
// says what the token may do in the whole stage. Its verdict on the call at hand is always the decision's.
//
// `*` crosses slashes: `GET/orders/*`, meant for `GET /orders/{id}`, also fits `/orders/7/secrets`. Therefore each pattern
// comes with the Denies that cut it back. Where that cannot be expressed without denying an allowed route altogether, the
// pattern is left out, and calls to that route are allowed one by one.
import { METHODS, type Route, type RouteMap } from '../vocabulary/route-map.ts'
import { compileGlob, globMeets, type Part } from './glob.ts'

export interface PolicyDocument {
  readonly Version: '2012-10-17'
  readonly Statement: readonly {
    readonly Action: 'execute-api:Invoke'
    readonly Effect: 'Allow' | 'Deny'
    readonly Resource: readonly string[]
  }[]
}

/** Patterns of `VERB/path`, as they follow the stage in an ARN. */
interface Coverage {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

export interface PolicyRequest {
  /** of the call at hand */
  readonly arn: string
  /** the decision on the call at hand */
  readonly allowed: boolean
  /** the decision on a call of any route with the same credential */
  readonly allows: (route: Route) => boolean
  /** equal for requests with equal `allows`: compiled policies are kept under it */
  readonly key: string
}

const MAX_RESOURCE_LENGTH = 512
// API Gateway publishes no limit for REST; the whole answer stays below 8 KB, the limit of WebSocket APIs.
const MAX_POLICY_LENGTH = 6500
const MAX_KEPT = 100

/** @returns a function that makes the policy for one call; what it compiles for a set of rights it keeps */
export function createPolicyCompiler(routes: RouteMap): (request: PolicyRequest) => PolicyDocument {
  const kept = new Map<string, StagePolicy>()
  return ({ arn, allowed, allows, key }) => {
    const [, stage = '', call = ''] = /^([^/]*\/[^/]*\/)(.*)$/s.exec(arn) ?? []
    let policy = kept.get(stage + key)
    if (!policy) {
      policy = createStagePolicy(stage, compile(routes, allows))
      if (kept.size >= MAX_KEPT) kept.clear()
      kept.set(stage + key, policy)
    }
    if (policy.document && policy.passes(call) === allowed) return policy.document
    return correct(stage, policy, call, allowed)
  }
}

interface StagePolicy {
  readonly coverage: Coverage
  readonly passes: (call: string) => boolean
  /** undefined where it would be too large */
  readonly document?: PolicyDocument
}

function createStagePolicy(stage: string, coverage: Coverage): StagePolicy {
  const allow = coverage.allow.map(compileGlob)
  const deny = coverage.deny.map(compileGlob)
  const passes = (call: string) => allow.some((fits) => fits(call)) && !deny.some((fits) => fits(call))
  return { coverage, passes, document: write(stage, coverage) }
}

// What the stage-wide patterns get wrong for the call at hand is put right by naming the call itself.
function correct(stage: string, { coverage }: StagePolicy, call: string, allowed: boolean): PolicyDocument {
  const nothing: PolicyDocument = statements(stage, { allow: [], deny: ['*'] })
  if (!allowed) return write(stage, { ...coverage, deny: [...coverage.deny, call] }) ?? nothing
  return (isExact(call) && write(stage, { allow: [call], deny: [] })) || nothing
}

// A call may have wildcards in its own path; as a resource of an Allow it would then name more than itself.
function isExact(text: string): boolean {
  return !/[*?]|\$\{/.test(text)
}

function compile(routes: RouteMap, allows: (route: Route) => boolean): Coverage {
  const allow: string[] = []
  const deny: string[] = []
  for (const method of METHODS) {
    const part = compileMethod(method, routesOf(routes, method), allows)
    allow.push(...part.allow)
    deny.push(...part.deny)
  }
  return { allow: widestOnly(new Set(allow)), deny: widestOnly(new Set(deny)) }
}

// `routes` is ordered by preference.
function routesOf(routes: RouteMap, method: string): readonly Template[] {
  return routes.flatMap((route, rank) => {
    if (route.method !== method && route.method !== 'ANY') return []
    const parts = route.segments.map(({ kind, text }) => (kind === 'literal' ? text : null))
    const greedy = route.segments.at(-1)?.kind === 'rest'
    return [{ route, rank, parts, greedy, pattern: fill(parts, '*'), typical: typicalCalls(parts, greedy) }]
  })
}

interface Template {
  readonly route: Route
  /** the lower, the more specific */
  readonly rank: number
  /** segments, null for a parameter */
  readonly parts: readonly Part[]
  readonly greedy: boolean
  /** the narrowest pattern that fits all its calls */
  readonly pattern: string
  /** calls whose parameters have a value that occurs in no template: what is true of them is true of nearly all */
  readonly typical: readonly string[]
}

function compileMethod(method: string, templates: readonly Template[], allows: (route: Route) => boolean): Coverage {
  const allowed = templates.filter(({ route }) => allows(route))
  const denied = templates.filter(({ route }) => !allows(route))
  const silences = (pattern: string) => allowed.some(({ typical }) => typical.some(compileGlob(pattern)))
  const allow: string[] = []
  const deny = new Set<string>()
  for (const template of allowed) {
    const excess = excessOf(template)
    const exact = !excess.some(silences)
    const rivals = denied.filter((other) => reaches(template, other, exact)).map(({ pattern }) => pattern)
    if (rivals.some(silences)) continue
    allow.push(template.pattern)
    for (const pattern of exact ? [...excess, ...rivals] : rivals) deny.add(pattern)
    // An encoded spelling of a denied path would slip past its Deny.
    if (rivals.length > 0) deny.add('*%*')
  }
  return {
    allow: allow.map((pattern) => `${method}/${pattern}`),
    deny: [...deny].map((pattern) => `${method}/${pattern}`),
  }
}

/** Patterns of what a template's own pattern fits too much: parameters that are empty or hold a slash. */
function excessOf({ parts, greedy }: Template): readonly string[] {
  return parts.flatMap((part, index) => {
    if (part !== null) return []
    const written = (text: string) => parts.map((other, at) => (at === index ? text : (other ?? '*'))).join('/')
    return greedy && index === parts.length - 1 ? [written('')] : [written('*/*'), written('')]
  })
}

/** Whether the pattern of an allowed template fits some call that belongs to a denied one. */
function reaches(allowed: Template, denied: Template, exact: boolean): boolean {
  if (!globMeets(allowed.parts, denied.parts, denied.greedy)) return false
  // Calls that both templates fit belong to the more specific one; an exact pattern fits no others.
  if (denied.rank < allowed.rank) return true
  const sameDepth = allowed.parts.length === denied.parts.length && !allowed.greedy && !denied.greedy
  return !exact && !sameDepth
}

function typicalCalls(parts: readonly Part[], greedy: boolean): readonly string[] {
  const call = fill(parts, '\u0001')
  return greedy ? [call, `${call}/\u0001`] : [call]
}

function fill(parts: readonly Part[], value: string): string {
  return parts.map((part) => part ?? value).join('/')
}

function widestOnly(patterns: ReadonlySet<string>): readonly string[] {
  const all = [...patterns]
  return all.filter((pattern) => !all.some((other) => other !== pattern && compileGlob(other)(pattern)))
}

/** @returns the document, or undefined where a limit of API Gateway would be passed */
function write(stage: string, coverage: Coverage): PolicyDocument | undefined {
  const document = statements(stage, coverage)
  const short = document.Statement.every(({ Resource }) => Resource.every((one) => one.length <= MAX_RESOURCE_LENGTH))
  return short && JSON.stringify(document).length <= MAX_POLICY_LENGTH ? document : undefined
}

function statements(stage: string, { allow, deny }: Coverage): PolicyDocument {
  const statement = (Effect: 'Allow' | 'Deny', patterns: readonly string[]) =>
    patterns.length === 0
      ? []
      : [{ Action: 'execute-api:Invoke' as const, Effect, Resource: patterns.map((pattern) => stage + pattern) }]
  return { Version: '2012-10-17', Statement: [...statement('Allow', allow), ...statement('Deny', deny)] }
}
