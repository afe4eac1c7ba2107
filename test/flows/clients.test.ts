// Real OAuth clients, written by others, go through everything: openid-client and oauth4webapi.
import * as oauth from 'oauth4webapi'
import * as oidc from 'openid-client'
import { createBrowser } from '../helpers/browser.ts'
import { passPages } from '../helpers/flow.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

const SCOPE = 'openid profile email orders:read orders:write'

it('openid-client: discovery, code + PKCE, userinfo, refresh, introspection, revocation, logout', async () => {
  const insecure = { execute: [oidc.allowInsecureRequests] }
  const config = await oidc.discovery(
    new URL(server.issuer),
    'shop',
    undefined,
    oidc.ClientSecretBasic(cast.shop),
    insecure,
  )
  const browser = createBrowser(server.issuer)
  const verifier = oidc.randomPKCECodeVerifier()
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: SCOPE,
    resource: ORDERS,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  const back = await passPages(browser, await browser.open(address))
  const tokens = await oidc.authorizationCodeGrant(config, back.url, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  })
  const { sub } = tokens.claims()!
  expect(sub).toBe(cast.ada)
  expect(await oidc.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({
    sub,
    email: 'ada@example.com',
    name: 'Ada Lovelace',
  })

  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token!)
  expect(refreshed.access_token).not.toBe(tokens.access_token)
  expect(await oidc.tokenIntrospection(config, refreshed.access_token)).toMatchObject({
    active: true,
    sub,
    aud: ORDERS,
  })
  await oidc.tokenRevocation(config, refreshed.access_token)
  expect(await oidc.tokenIntrospection(config, refreshed.access_token)).toEqual({ active: false })

  const leave = oidc.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token!,
    post_logout_redirect_uri: 'http://localhost:9/',
    state: 'bye',
  })
  const gone = await browser.press(await browser.open(leave), 'yes')
  expect(gone.url.href).toBe('http://localhost:9/?state=bye')
  await expect(oidc.refreshTokenGrant(config, tokens.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' })
})

it('openid-client: client credentials with resource', async () => {
  const insecure = { execute: [oidc.allowInsecureRequests] }
  const config = await oidc.discovery(
    new URL(server.issuer),
    'billing',
    undefined,
    oidc.ClientSecretBasic(cast.billing),
    insecure,
  )
  const tokens = await oidc.clientCredentialsGrant(config, { resource: ORDERS, scope: 'orders:read' })
  expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject({
    active: true,
    sub: 'billing',
    scope: 'orders:read',
  })
})

it('oauth4webapi: discovery, code + PKCE of a public client, userinfo, refresh, revocation', async () => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(server.issuer)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
  const client: oauth.Client = { client_id: 'spa' }
  const verifier = oauth.generateRandomCodeVerifier()
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
  const address = new URL(as.authorization_endpoint!)
  const params = {
    client_id: 'spa',
    redirect_uri: CALLBACK,
    response_type: 'code',
    scope: 'openid things:read',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  }
  for (const [name, value] of Object.entries(params)) address.searchParams.set(name, value)
  const browser = createBrowser(server.issuer)
  const back = await passPages(browser, await browser.open(address))

  const callback = oauth.validateAuthResponse(as, client, back.url, state)
  const answer = await oauth.authorizationCodeGrantRequest(
    as,
    client,
    oauth.None(),
    callback,
    CALLBACK,
    verifier,
    insecure,
  )
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer, {
    expectedNonce: nonce,
    requireIdToken: true,
  })
  await oauth.validateApplicationLevelSignature(as, answer, insecure)
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)!
  const userinfo = await oauth.userInfoRequest(as, client, tokens.access_token, insecure)
  expect((await oauth.processUserInfoResponse(as, client, sub, userinfo)).sub).toBe(cast.ada)

  const again = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token!, insecure)
  const next = await oauth.processRefreshTokenResponse(as, client, again)
  expect(next.refresh_token).not.toBe(tokens.refresh_token)
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, oauth.None(), next.refresh_token!, insecure),
  )
  const dead = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), next.refresh_token!, insecure)
  await expect(oauth.processRefreshTokenResponse(as, client, dead)).rejects.toMatchObject({ error: 'invalid_grant' })
})

it('oauth4webapi: client credentials with resource, introspected by the API', async () => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(server.issuer)
  const as = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
  )
  const client: oauth.Client = { client_id: 'shop' }
  const params = new URLSearchParams({ resource: THINGS })
  const answer = await oauth.clientCredentialsGrantRequest(
    as,
    client,
    oauth.ClientSecretBasic(cast.shop),
    params,
    insecure,
  )
  const tokens = await oauth.processClientCredentialsResponse(as, client, answer)
  const api: oauth.Client = { client_id: 'orders-api' }
  const asked = await oauth.introspectionRequest(
    as,
    api,
    oauth.ClientSecretBasic(cast.api),
    tokens.access_token,
    insecure,
  )
  expect(await oauth.processIntrospectionResponse(as, api, asked)).toMatchObject({
    active: true,
    aud: THINGS,
    client_id: 'shop',
  })
})
