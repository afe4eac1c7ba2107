// Our choices for the engine, as one plain table. Everything with a default that we would not choose is named here.
import { decodeJwt } from 'jose'
import type { Configuration, JWKS, KoaContextWithOIDC } from 'oidc-provider'
import { errors, interactionPolicy } from 'oidc-provider'
import { AUTH_METHODS, isConfidential } from '../clients/client.ts'
import { CLOCK_TOLERANCE } from '../vocabulary/access-token.ts'
import { createFindAccount } from './account.ts'
import { createAdapterFactory } from './adapter.ts'
import { createAssertionPolicy } from './assertion-policy.ts'
import { factsOf, SERVED_SCOPES } from './client-metadata.ts'
import { createLoadGrant } from './grant.ts'
import { introspectionPolicy } from './introspection-policy.ts'
import { createTokenClaims } from './jwt-claims.ts'
import { renderError, showSignedOut, showSignOut } from './pages.ts'
import { ID_TOKEN_ALGORITHM, LIFETIMES, type ProviderParts } from './parts.ts'
import {
  createRotateRefreshToken,
  expiresWithSession,
  issueRefreshToken,
  refreshTokenLifetime,
  sessionLifetime,
} from './refresh-policy.ts'
import { createDefaultResource, createResourceServerInfo } from './resource-server.ts'

/** @returns the engine's configuration */
export function engineOptions(parts: ProviderParts): Configuration {
  const secure = parts.issuer.startsWith('https:')
  return {
    adapter: createAdapterFactory(parts),
    jwks: { keys: parts.signingKeys.map((key) => key.privateJwk) } as JWKS,
    findAccount: createFindAccount(parts),
    loadExistingGrant: createLoadGrant(parts),
    routes: {
      authorization: '/authorize',
      token: '/token',
      pushed_authorization_request: '/par',
      jwks: '/jwks',
      introspection: '/introspect',
      revocation: '/revoke',
      userinfo: '/userinfo',
      end_session: '/logout',
    },
    responseTypes: ['code'],
    scopes: [...SERVED_SCOPES],
    // Only logout over a back channel would need `sid`; the library promises it in the metadata unless told otherwise.
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], sid: false as never },
    subjectTypes: ['public'],
    pkce: { required: () => true },
    extraParams: { code_challenge: checkChallenge },
    clientAuthMethods: [...AUTH_METHODS],
    assertJwtClientAuthClaimsAndHeader: createAssertionPolicy(parts),
    clientDefaults: { id_token_signed_response_alg: ID_TOKEN_ALGORITHM },
    enabledJWA: {
      clientAuthSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA', 'HS256'],
      dPoPSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      idTokenSigningAlgValues: [ID_TOKEN_ALGORITHM],
    },
    extraClientMetadata: { properties: ['gatehouse'] },
    ...(parts.privateAddresses && { fetch: fetchAnywhere }),
    enableHttpPostMethods: false,
    acceptQueryParamAccessTokens: false,
    allowOmittingSingleRegisteredRedirectUri: false,
    clockTolerance: CLOCK_TOLERANCE,
    clientBasedCORS: (_ctx, origin, client) =>
      origin !== 'null' && (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
    cookies: {
      keys: parts.cookieSigner,
      names: cookieNames(secure),
      long: { signed: true, httpOnly: true, sameSite: 'lax', secure, path: '/', overwrite: true },
      short: { signed: true, httpOnly: true, sameSite: 'lax', secure, overwrite: true },
    },
    features: {
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: {
        enabled: true,
        // The same on every node, or a proof would be good at one of them only.
        nonceSecret: parts.ring.newHash('dpop-nonce', ''),
        requireNonce: (ctx) => ctx.oidc.client !== undefined && factsOf(ctx.oidc.client).dpop === 'nonce',
      },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: introspectionPolicy },
      revocation: { enabled: true, allowedPolicy: ownTokensOnly },
      userinfo: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: showSignOut, postLogoutSuccessSource: showSignedOut },
      resourceIndicators: {
        enabled: true,
        defaultResource: createDefaultResource(parts) as never,
        // The token of a code is for the API that the code was asked for, whether or not the exchange names it again.
        useGrantedResource: async () => true,
        getResourceServerInfo: createResourceServerInfo(parts) as never,
      },
    },
    formats: { customizers: { jwt: createTokenClaims(parts) } },
    interactions: {
      url: (_ctx, interaction) => `/interaction/${interaction.uid}`,
      policy: promptPolicy(),
    },
    issueRefreshToken: issueRefreshToken as never,
    expiresWithSession: expiresWithSession as never,
    rotateRefreshToken: createRotateRefreshToken(parts),
    // What ends with a revocation or a replay is decided in the adapter; only a sign-out ends the grant itself.
    revokeGrantPolicy: (ctx) => ctx.oidc.route.startsWith('end_session'),
    renderError,
    // By the clock that the engine goes by.
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? LIFETIMES.accessToken,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? LIFETIMES.accessToken,
      AuthorizationCode: () => LIFETIMES.code,
      Grant: () => LIFETIMES.grant,
      IdToken: () => LIFETIMES.idToken,
      Interaction: () => LIFETIMES.interaction,
      RefreshToken: (_ctx, token) => refreshTokenLifetime(token, new Date()),
      Session: (_ctx, session) => sessionLifetime(session, new Date()),
    },
  }
}

/** Without the dispatcher by which the library keeps away from private addresses. */
const fetchAnywhere: Configuration['fetch'] = (url, options) => fetch(url, { ...options, dispatcher: undefined })

/** `__Host-` where the path is `/`; the engine's two other cookies have paths of their own and get `__Secure-`. */
function cookieNames(secure: boolean) {
  return secure
    ? {
        session: '__Host-gatehouse-session',
        interaction: '__Secure-gatehouse-interaction',
        resume: '__Secure-gatehouse-resume',
      }
    : { session: 'gatehouse-session', interaction: 'gatehouse-interaction', resume: 'gatehouse-resume' }
}

/** S256 gives 43 base64url characters (RFC 7636 section 4.2); the library takes all that could be a verifier. */
function checkChallenge(_ctx: KoaContextWithOIDC, challenge: string | undefined): void {
  if (challenge !== undefined && !/^[\w-]{43}$/.test(challenge))
    throw new errors.InvalidRequest('code_challenge must be the 43 base64url characters that S256 gives')
}

async function ownTokensOnly(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string },
  token: { clientId?: string },
): Promise<boolean> {
  // Silence instead of an error: whose token it is is nobody else's business (RFC 7009 section 2.2 answers 200 either way).
  return token.clientId === client.clientId
}

/** The engine's policy, except that every public third-party client is asked each time, not native ones alone. */
function promptPolicy() {
  const policy = interactionPolicy.base()
  const { Check } = interactionPolicy
  // A session may outlive its account: without one there is nobody to grant anything.
  policy
    .get('login')!
    .checks.add(
      new Check(
        'account_gone',
        'End-User authentication is required',
        'login_required',
        (ctx) => ctx.oidc.session?.accountId !== undefined && ctx.oidc.account === undefined,
      ),
    )
  // The library looks at the hint when a request begins. Somebody else who signs in on its page is an answer to another
  // question (OpenID Connect Core section 3.1.2.1, id_token_hint).
  policy.get('login')!.checks.add(
    new Check('another_account', 'somebody else signed in', (ctx) => {
      const { result, session, params } = ctx.oidc
      const hint = params?.id_token_hint
      if (result?.login && typeof hint === 'string' && decodeJwt(hint).sub !== session?.accountId)
        throw new errors.LoginRequired('somebody else signed in')
      return Check.NO_NEED_TO_PROMPT
    }),
  )
  const consent = policy.get('consent')!
  consent.checks.remove('native_client_prompt')
  consent.checks.add(
    new Check('public_client_prompt', 'public clients require End-User interaction', 'interaction_required', (ctx) => {
      const facts = factsOf(ctx.oidc.client!)
      return !isConfidential(facts) && !facts.firstParty && !ctx.oidc.result?.consent
    }),
    0,
  )
  return policy
}
