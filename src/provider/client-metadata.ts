// Our clients in the words of RFC 7591, as the engine wants to read them.
import type { ClientMetadata } from 'oidc-provider'
import { type Client, hasUsers, isConfidential, isNativeApp, secretForm } from '../clients/client.ts'
import type { SealedSecret } from '../clients/secrets.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

/** The server's own scopes; every other scope belongs to a resource. */
export const SERVED_SCOPES = ['openid', 'profile', 'email', 'offline_access'] as const

/** What the engine keeps for us on its client under the name `gatehouse`. */
export type ClientFacts = Pick<
  Client,
  'kind' | 'firstParty' | 'refresh' | 'scopes' | 'serves' | 'authMethod' | 'epoch' | 'dpop'
> & {
  /** what a client of `client_secret_jwt` may sign with, newest first; `sealed` in base64url */
  readonly sealedSecrets?: readonly { readonly id: string; readonly sealed: string }[]
}

/**
 * @param client a client that is not disabled
 * @param sealedSecrets those that are live, of a client that signs with one
 * @returns its metadata; the secret is a placeholder that no token is ever signed or authenticated with
 */
export function clientMetadata(
  client: Client,
  ring: KeyRing,
  sealedSecrets: readonly SealedSecret[] = [],
): ClientMetadata {
  const facts: ClientFacts = {
    kind: client.kind,
    firstParty: client.firstParty,
    refresh: client.refresh,
    scopes: client.scopes,
    serves: client.serves,
    authMethod: client.authMethod,
    epoch: client.epoch,
    dpop: client.dpop,
    // The engine keeps what it makes of a client by what it is told of it: with another secret it is another one.
    ...(secretForm(client) === 'sealed' && {
      sealedSecrets: sealedSecrets.map(({ id, sealed }) => ({ id, sealed: sealed.toString('base64url') })),
    }),
  }
  return {
    client_id: client.id,
    client_name: client.name,
    token_endpoint_auth_method: client.authMethod,
    // The engine insists on a secret. Most are known by their hash only, so it gets one that nobody can present: never a
    // constant, which would be a key that everybody knows, and the same for the same client, so that its cache works.
    ...(secretForm(client) && {
      client_secret: ring.keyedHash('client-secret-placeholder', client.id).toString('base64url'),
    }),
    grant_types: grantTypes(client),
    response_types: hasUsers(client) ? ['code'] : [],
    redirect_uris: hasUsers(client) ? [...client.redirectUris] : [],
    post_logout_redirect_uris: [...client.postLogoutRedirectUris],
    response_modes: [...client.responseModes],
    application_type: isNativeApp(client) ? 'native' : 'web',
    scope: SERVED_SCOPES.join(' '),
    require_pushed_authorization_requests: client.requirePar,
    dpop_bound_access_tokens: client.dpop !== 'optional',
    ...(client.jwks && { jwks: { keys: [...client.jwks.keys] } as ClientMetadata['jwks'] }),
    ...(client.jwksUri && { jwks_uri: client.jwksUri }),
    gatehouse: facts,
  }
}

function grantTypes(client: Client): string[] {
  return [
    ...(hasUsers(client) ? ['authorization_code'] : []),
    ...(hasUsers(client) && client.refresh !== 'none' ? ['refresh_token'] : []),
    ...(isConfidential(client) && Object.keys(client.scopes).length > 0 && client.kind !== 'spa'
      ? ['client_credentials']
      : []),
  ]
}

/** @returns what we keep on the engine's client */
export function factsOf(client: { readonly [key: string]: unknown }): ClientFacts {
  return client.gatehouse as ClientFacts
}
