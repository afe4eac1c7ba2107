// Which resource a request is for, and what its access tokens look like (RFC 8707, RFC 9068).
import type { KoaContextWithOIDC, ResourceServer } from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { Resource } from '../resources/resource.ts'
import { allowedScopes, defaultScopes } from '../resources/scope-policy.ts'
import { RESERVED_SCOPES } from '../vocabulary/oidc-scopes.ts'
import { factsOf } from './client-metadata.ts'
import type { ProviderParts } from './parts.ts'

type Deps = Pick<ProviderParts, 'findResource'>

/**
 * The engine asks for the resource of a request that names none. An API scope names its resource if exactly one of the
 * client's resources has it; a client credentials request without scopes means the client's only resource.
 * @returns a resource id, or undefined when the token is for the server itself (userinfo)
 * @throws InvalidScope when the scopes fit no resource of the client
 * @throws InvalidTarget when they fit more than one, or none was asked for and there is not exactly one
 */
export function createDefaultResource(deps: Deps) {
  return async function defaultResource(
    ctx: KoaContextWithOIDC,
    client: { readonly [key: string]: unknown },
    oneOf?: string[],
  ): Promise<string | string[] | undefined> {
    if (oneOf) return oneOf
    const { scopes } = factsOf(client)
    const params = ctx.oidc.params as { scope?: string; grant_type?: string }
    const asked = apiScopes(params.scope)
    const known = Object.keys(scopes)
    if (asked.length === 0) {
      if (params.grant_type !== 'client_credentials') return undefined
      return one(known, 'this client may ask for several resources (or none): name one with the resource parameter')
    }
    const possible: string[] = []
    for (const id of known) {
      const resource = await deps.findResource(id)
      if (resource?.scopes.some((scope) => asked.includes(scope.name) && scopes[id]?.includes(scope.name)))
        possible.push(id)
    }
    if (possible.length === 0) throw new errors.InvalidScope('requested scope is not allowed', asked.join(' '))
    return one(possible, 'the requested scopes belong to several resources: name one with the resource parameter')
  }
}

/**
 * The engine asks what a resource's tokens are like.
 * @throws InvalidTarget for a resource that is not registered or that this client may not ask for
 * @throws InvalidScope when scopes were asked and this client may have none of them
 */
export function createResourceServerInfo(deps: Deps) {
  return async function getResourceServerInfo(
    ctx: KoaContextWithOIDC,
    indicator: string,
    client: { readonly [key: string]: unknown },
  ): Promise<ResourceServer> {
    const facts = factsOf(client)
    const resource = await deps.findResource(indicator)
    if (!resource || !(indicator in facts.scopes)) {
      throw new errors.InvalidTarget('resource is not registered, or not allowed for this client')
    }
    const allowed = allowedScopes(resource, facts)
    applyScopeDefaults(ctx, resource, facts, allowed)
    return {
      audience: resource.id,
      scope: allowed.join(' '),
      accessTokenTTL: resource.lifetime,
      accessTokenFormat: resource.format,
      ...(resource.format === 'jwt' && { jwt: { sign: { alg: resource.sign } } }),
    } as ResourceServer
  }
}

/** Fills in the resource's default scopes where none were asked (only where a request starts, never at an exchange). */
function applyScopeDefaults(
  ctx: KoaContextWithOIDC,
  resource: Resource,
  facts: Parameters<typeof defaultScopes>[1],
  allowed: readonly string[],
): void {
  const params = ctx.oidc.params as { scope?: string; grant_type?: string }
  const starts = ctx.oidc.route === 'authorization' || params.grant_type === 'client_credentials'
  if (!starts) return
  const asked = apiScopes(params.scope)
  if (asked.length === 0) {
    params.scope = [...(params.scope?.split(' ') ?? []), ...defaultScopes(resource, facts)].join(' ') || undefined
  } else if (!asked.some((scope) => allowed.includes(scope)) && !Array.isArray(ctx.oidc.params?.resource)) {
    throw new errors.InvalidScope('requested scope is not allowed', asked.join(' '))
  }
}

function apiScopes(scope: string | undefined): string[] {
  return (scope?.split(' ') ?? []).filter((name) => name !== '' && !RESERVED_SCOPES.includes(name))
}

function one(ids: readonly string[], otherwise: string): string {
  const [only, ...more] = ids
  if (only === undefined || more.length > 0) throw new errors.InvalidTarget(otherwise)
  return only
}
