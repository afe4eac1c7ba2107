// The authorizer's settings as one table. Every fault is told at once, and none of them leaves it half protected.
import type { JSONWebKeySet } from 'jose'
import { createKeySet } from '../verifier/key-set.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { issuerFault } from '../vocabulary/issuer.ts'
import { type RouteMap, readRouteMap } from '../vocabulary/route-map.ts'

export interface AuthorizerSettings {
  readonly issuer: string
  /** the resource that this API is: the only accepted `aud` */
  readonly audience: string
  readonly routes: RouteMap
  /** these keys and no others, without any request to the issuer */
  readonly jwks?: JSONWebKeySet
  /** what an HTTP API gets for a missing or invalid token: `isAuthorized: false` (403), or a throw; default `deny` */
  readonly httpUnauthorized?: 'deny' | 'throw'
}

export interface SettingsSource {
  readonly env: Readonly<Record<string, string | undefined>>
  /** reads a text file beside the program */
  readonly readFile: (name: string) => string
}

/**
 * Reads the settings:
 *
 * | name | what |
 * |---|---|
 * | `GATEHOUSE_ISSUER` | the authorization server, byte for byte as in its tokens |
 * | `GATEHOUSE_AUDIENCE` | id of the resource that this API is |
 * | `GATEHOUSE_ROUTES` | the route map: JSON, or the name of a file beside the program |
 * | `GATEHOUSE_JWKS` | optional: pinned keys, JSON or file; then the issuer is never asked |
 * | `GATEHOUSE_HTTP_UNAUTHORIZED` | optional, HTTP APIs: `deny` (default) or `throw` |
 *
 * @throws OperatorFault with every fault, one a line
 */
export function readSettings({ env, readFile }: SettingsSource): AuthorizerSettings {
  const faults: string[] = []
  const note = (name: string, message: string) => faults.push(`${name} ${message}`)

  const issuer = env.GATEHOUSE_ISSUER ?? ''
  const wrongIssuer = issuer ? issuerFault(issuer) : 'is missing: the URL of the authorization server'
  if (wrongIssuer) note('GATEHOUSE_ISSUER', wrongIssuer)

  const audience = env.GATEHOUSE_AUDIENCE ?? ''
  if (!audience) note('GATEHOUSE_AUDIENCE', 'is missing: the id of the resource that this API is')
  else if (/\s/.test(audience)) note('GATEHOUSE_AUDIENCE', 'must be one resource id without spaces')

  const readJson = (name: string, value: string): { json: unknown } | undefined => {
    try {
      return { json: JSON.parse(/^\s*[{[]/.test(value) ? value : readFile(value)) }
    } catch (error) {
      note(name, `cannot be read as JSON or as the name of a JSON file: ${(error as Error).message}`)
      return undefined
    }
  }

  let routes: RouteMap = []
  if (!env.GATEHOUSE_ROUTES) note('GATEHOUSE_ROUTES', 'is missing: a route map as JSON, or the name of its file')
  else {
    const document = readJson('GATEHOUSE_ROUTES', env.GATEHOUSE_ROUTES)
    const read = document && readRouteMap(document.json)
    if (read?.ok) routes = read.routes
    else if (read)
      for (const { path, message } of read.faults) note('GATEHOUSE_ROUTES', path ? `"${path}" ${message}` : message)
  }

  let jwks: JSONWebKeySet | undefined
  if (env.GATEHOUSE_JWKS) {
    const document = readJson('GATEHOUSE_JWKS', env.GATEHOUSE_JWKS)
    if (document) {
      jwks = document.json as JSONWebKeySet
      const wrong = wrongKeys(jwks)
      if (wrong) note('GATEHOUSE_JWKS', `is not a set of public keys: ${wrong}`)
    }
  }

  const httpUnauthorized = env.GATEHOUSE_HTTP_UNAUTHORIZED || 'deny'
  if (httpUnauthorized !== 'deny' && httpUnauthorized !== 'throw')
    note('GATEHOUSE_HTTP_UNAUTHORIZED', 'must be deny or throw')

  if (faults.length > 0) {
    throw new OperatorFault(
      `The authorizer cannot start:\n${faults.map((fault) => `- ${fault}`).join('\n')}`,
      'Mend these settings in the environment of the function.',
    )
  }
  return { issuer, audience, routes, jwks, httpUnauthorized: httpUnauthorized as 'deny' | 'throw' }
}

function wrongKeys(jwks: JSONWebKeySet): string | undefined {
  try {
    createKeySet(jwks)
    return jwks.keys.length === 0 ? 'it is empty' : undefined
  } catch (error) {
    return (error as Error).message
  }
}
