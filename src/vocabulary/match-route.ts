// Which route of a map a call belongs to. Fails closed: a path that two programs could read differently fits no route.
import type { Route, RouteMap } from './route-map.ts'

export interface RouteMatch {
  readonly route: Route
  /** values of the template's parameters, decoded */
  readonly parameters: Readonly<Record<string, string>>
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be in a path
const CONTROL = /[\u0000-\u001f\u007f]/

/**
 * Finds the most specific route for a call. Methods and trailing slashes are compared exactly. Each segment is decoded
 * once, after splitting, so an encoded slash never makes a segment.
 * @param path as sent, percent-encoded, without query
 * @returns undefined where no route fits, and for empty, dot and wrongly encoded segments
 */
export function matchRoute(routes: RouteMap, method: string, path: string): RouteMatch | undefined {
  const segments = decodeSegments(path)
  if (!segments) return undefined
  const route = routes.find((candidate) => isMethod(candidate, method) && fits(candidate, segments))
  return route && { route, parameters: readParameters(route, segments) }
}

function isMethod(route: Route, method: string): boolean {
  return route.method === method || route.method === 'ANY'
}

function decodeSegments(path: string): readonly string[] | undefined {
  if (!path.startsWith('/') || /[?#\\]/.test(path)) return undefined
  const raw = path.slice(1).split('/')
  try {
    const segments = path.includes('%') ? raw.map(decodeURIComponent) : raw
    const odd = (text: string, index: number) =>
      text === '.' || text === '..' || CONTROL.test(text) || (text === '' && index !== segments.length - 1)
    return segments.some(odd) ? undefined : segments
  } catch {
    return undefined
  }
}

function fits({ segments: template }: Route, segments: readonly string[]): boolean {
  const greedy = template.at(-1)?.kind === 'rest'
  if (greedy ? segments.length < template.length : segments.length !== template.length) return false
  return template.every(({ kind, text }, index) =>
    kind === 'literal' ? segments[index] === text : segments[index] !== '',
  )
}

function readParameters({ segments: template }: Route, segments: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const [index, { kind, text }] of template.entries()) {
    if (kind === 'name') parameters[text] = segments[index] as string
    if (kind === 'rest') parameters[text] = segments.slice(index).join('/')
  }
  return parameters
}
