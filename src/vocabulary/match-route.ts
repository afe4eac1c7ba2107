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
  for (const route of routes) {
    if (route.method !== method && route.method !== 'ANY') continue
    const parameters = readParameters(route, segments)
    if (parameters) return { route, parameters }
  }
  return undefined
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

function readParameters(route: Route, segments: readonly string[]): Record<string, string> | undefined {
  const template = route.segments
  const greedy = template.at(-1)?.kind === 'rest'
  if (greedy ? segments.length < template.length : segments.length !== template.length) return undefined
  const parameters: Record<string, string> = {}
  for (const [index, { kind, text }] of template.entries()) {
    const value = segments[index] as string
    if (kind === 'literal' ? value !== text : value === '') return undefined
    if (kind === 'name') parameters[text] = value
    if (kind === 'rest') parameters[text] = segments.slice(index).join('/')
  }
  return parameters
}
