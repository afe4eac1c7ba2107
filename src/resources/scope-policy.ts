// Which scopes of a resource a client may have. Pure: the engine, the consent page and the tests ask the same function.
import type { Resource } from './resource.ts'

/** What is asked of a client: the scopes it is registered for, by resource id. */
export interface ScopeHolder {
  readonly scopes: Readonly<Record<string, readonly string[]>>
}

/**
 * The scopes of `resource` that `client` may ask for: what it is registered for and the resource (still) has.
 * @returns names in the resource's order; [] for a client that is not registered for this resource
 */
export function allowedScopes(resource: Pick<Resource, 'id' | 'scopes'>, client: ScopeHolder): readonly string[] {
  const registered = Object.hasOwn(client.scopes, resource.id) ? (client.scopes[resource.id] ?? []) : []
  return resource.scopes.filter(({ name }) => registered.includes(name)).map(({ name }) => name)
}

/** @returns the scopes given when a request for `resource` names none: the allowed ones that are given by default */
export function defaultScopes(resource: Pick<Resource, 'id' | 'scopes'>, client: ScopeHolder): readonly string[] {
  const allowed = allowedScopes(resource, client)
  return resource.scopes.filter(({ name, byDefault }) => byDefault && allowed.includes(name)).map(({ name }) => name)
}
