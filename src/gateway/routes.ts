// What the local gateway serves: the routes of a route map. Public ones have no authorizer, all others have it.
import { matchRoute } from '../vocabulary/match-route.ts'
import type { RouteMap } from '../vocabulary/route-map.ts'

/** A call that a route was found for. */
export interface RoutedCall {
  /** `/orders/{id}` */
  readonly template: string
  /** `GET /orders/{id}`, or `ANY /orders/{id}` */
  readonly key: string
  readonly parameters: Readonly<Record<string, string>>
  /** whether the authorizer is asked */
  readonly guarded: boolean
}

/** @returns the route that serves a call, or undefined */
export function routeCall(routes: RouteMap, method: string, path: string): RoutedCall | undefined {
  const match = matchRoute(routes, method, path)
  if (!match) return undefined
  const { template, name, rule } = match.route
  return { template, key: name, parameters: match.parameters, guarded: rule !== 'public' }
}
