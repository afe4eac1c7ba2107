// The one module that changes the library's own classes. Each change has a contract test; an upgrade of the library is this
// file and one test run.
import type Provider from 'oidc-provider'
import type { TokenEndpointGrantContext } from 'oidc-provider'
import { validateDpop } from 'oidc-provider/lib/helpers/grants.js'
// @ts-expect-error the typings leave out the library's insides
import LRU from 'oidc-provider/lib/helpers/lru.js'
// @ts-expect-error as above
import internals from 'oidc-provider/lib/helpers/weak_cache.js'
import { grantId, mintGrantId } from '../sessions/grants.ts'
import { mintOpaque } from '../tokens/access-tokens.ts'
import { LONGEST_AHEAD } from './assertion-policy.ts'
import { factsOf } from './client-metadata.ts'
import { issuedAt } from './issued-at.ts'
import { jktOf, type OwnJwts } from './own-jwt.ts'
import { checkParameters } from './parameter-limits.ts'
import type { ProviderParts } from './parts.ts'

// The library's classes are typed without the members that we replace.
type Loose = { prototype: Record<string, unknown> } & Record<string, unknown>

/** Applies every change to a fresh provider. */
export function applyOverrides(provider: Provider, parts: ProviderParts, jwts: OwnJwts): void {
  keepMoreClients(provider)
  compareSecretsByHash(provider, parts)
  keepSymmetricKeys(provider, parts)
  findClientsOnce(provider)
  mintOurOwnIds(provider, parts)
  markSessions(provider, parts)
  seeReplaysOnce(provider, parts)
  varyPortsOfAddressesOnly(provider)
  judgeTypesBeforeModes(provider)
  pinUrls(provider)
  limitParameters(provider)
  keepOpenIdScopes(provider)
  acceptApiTokensAtUserinfo(provider, jwts)
}

/** The library keeps 100 clients, and validates every other one anew at each request. It keeps up to twice this number. */
const CLIENTS_KEPT = 5000

/** A client is kept under the hash of its metadata, so a changed one is a new one. */
function keepMoreClients(provider: Provider): void {
  internals(provider).dynamicClients = new LRU({ maxSize: CLIENTS_KEPT })
}

/**
 * Secrets are in a table of their own, several per client, as keyed hashes. The library takes them in the header and in the
 * body alike; ours come by the way that the client is registered for.
 */
function compareSecretsByHash(provider: Provider, { verifySecret }: ProviderParts): void {
  loose(provider.Client).prototype.compareClientSecret = async function (
    this: { clientId: string; clientAuthMethod: string },
    presented: string,
  ) {
    const way = contextOf(provider)?.get('Authorization') ? 'client_secret_basic' : 'client_secret_post'
    return (await verifySecret(this.clientId, presented)) && way === this.clientAuthMethod
  }
}

/**
 * The library makes keys of the secret that it knows, which is a placeholder. Keys are the real secrets of those clients that
 * sign with one, newest first: all of them verify, the first one signs. Other clients have none: whatever is signed with a
 * placeholder is refused, and nothing is signed with it.
 */
function keepSymmetricKeys(provider: Provider, { sealedSecrets }: ProviderParts): void {
  type Keyed = { clientId: string; symmetricKeyStore: { clear(): void; add(key: object): void } }
  const model = loose(provider.Client)
  const find = (model.find as (id: string) => Promise<Keyed | undefined>).bind(model)
  const fitted = new WeakSet<Keyed>()
  model.find = async (id: string) => {
    const client = await find(id)
    if (!client || fitted.has(client)) return client
    const secrets = (factsOf(client as never).sealedSecrets ?? []).map(({ sealed }) =>
      sealedSecrets.open(client.clientId, Buffer.from(sealed, 'base64url')),
    )
    client.symmetricKeyStore.clear()
    for (const secret of secrets) {
      const k = Buffer.from(secret).toString('base64url')
      client.symmetricKeyStore.add({ alg: 'HS256', use: 'sig', kty: 'oct', k })
    }
    fitted.add(client)
    return client
  }
}

/** What introspection decides and what it tells is of one client, as it was when it was asked for first. */
function findClientsOnce(provider: Provider): void {
  const model = loose(provider.Client)
  const find = (model.find as (id: string) => Promise<unknown>).bind(model)
  const found = new WeakMap<object, Map<string, Promise<unknown>>>()
  model.find = (id: string) => {
    const ctx = contextOf(provider)
    if (ctx?.oidc.route !== 'introspection') return find(id)
    const ofRequest = found.get(ctx) ?? new Map<string, Promise<unknown>>()
    found.set(ctx, ofRequest)
    const client = ofRequest.get(id) ?? find(id)
    ofRequest.set(id, client)
    return client
  }
}

/** Opaque values carry kind and checksum; refresh tokens name their family and are derived from what they replace. */
function mintOurOwnIds(provider: Provider, { ring, tokens: { families } }: ProviderParts): void {
  loose(provider.AuthorizationCode).prototype.generateTokenId = () => mintOpaque('ac', ring.version)
  const grant = loose(provider.Grant)
  grant.prototype.generateTokenId = mintGrantId
  // What is said of a grant that begins comes through to its adapter.
  Object.defineProperty(grant, 'IN_PAYLOAD', { value: [...(grant.IN_PAYLOAD as string[]), 'begins'] })
  // The library's own id, and room for what it will be hashed under.
  const pushed = loose(provider.PushedAuthorizationRequest).prototype
  const randomId = pushed.generateTokenId as () => string
  pushed.generateTokenId = function () {
    return ring.mark(randomId.call(this))
  }
  for (const model of [loose(provider.AccessToken), loose(provider.ClientCredentials)]) {
    const original = model.prototype.generateTokenId as () => string
    model.prototype.generateTokenId = function (this: { format?: string }) {
      // The library's own call also settles the token's format, which only then can be asked for.
      const id = original.call(this)
      return this.format === 'jwt' ? ring.mark(id) : mintOpaque('at', ring.version)
    }
  }
  loose(provider.RefreshToken).prototype.generateTokenId = () => {
    const entities = contextOf(provider)?.oidc.entities
    if (entities?.RotatedRefreshToken) return families.names.successor(entities.RotatedRefreshToken.jti)
    if (entities?.AuthorizationCode) return families.names.first(entities.AuthorizationCode.jti)
    throw new Error('a refresh token comes from a code or from its predecessor')
  }
}

/** A session's value is made where a session is, and anew at each sign-in. */
function markSessions(provider: Provider, { ring }: ProviderParts): void {
  const model = loose(provider.Session)
  const instantiate = (model.instantiate as (payload?: { jti?: string }) => { jti: string }).bind(model)
  model.instantiate = (payload?: { jti?: string }) => {
    const session = instantiate(payload)
    if (payload?.jti === undefined) session.jti = ring.mark(session.jti)
    return session
  }
  const resetIdentifier = model.prototype.resetIdentifier as () => void
  model.prototype.resetIdentifier = function (this: { jti: string }) {
    resetIdentifier.call(this)
    this.jti = ring.mark(this.jti)
  }
}

/** Seconds by which the library lets a proof be dated ahead. It forgets proofs as if they were all dated by its own clock. */
const PROOF_AHEAD = 300

/**
 * The library looks, then writes: two at once both pass. One insert decides instead. At the proof that comes with a code the
 * library looks when the code is used up; but what stays after a refusal is written before what does not.
 */
function seeReplaysOnce(provider: Provider, { tokens: { replays } }: ProviderParts): void {
  const besideCodes = new WeakMap<object, boolean>()
  const unique = (issuer: string, jti: string, exp: number) => {
    const ctx = contextOf(provider)
    const proves = ctx?.get('DPoP') !== ''
    const earliest = exp - LONGEST_AHEAD
    const madeAt = [ctx?.get('DPoP'), ctx?.oidc.params?.client_assertion].map((jwt) => issuedAt(jwt, jti, earliest))
    return replays.firstUse(issuer, jti, {
      madeAt: new Date(Math.min(...madeAt, exp) * 1000),
      expiresAt: new Date((exp + (proves ? PROOF_AHEAD : 0)) * 1000),
    })
  }
  loose(provider.ReplayDetection).unique = (issuer: string, jti: string, exp: number) =>
    besideCodes.get(contextOf(provider)!) ?? unique(issuer, jti, exp)
  const { prototype } = loose(provider.AuthorizationCode)
  const consume = prototype.consume as () => Promise<void>
  prototype.consume = async function () {
    const ctx = contextOf(provider) as TokenEndpointGrantContext
    const proof = await validateDpop(provider, ctx)
    const until = Math.floor(Date.now() / 1000) + PROOF_AHEAD
    if (proof) besideCodes.set(ctx, await unique(ctx.oidc.client.clientId, proof.jti, until))
    return consume.call(this)
  }
}

/**
 * A native app may ask for any port, but of a loopback address: what `localhost` means is up to the device (RFC 8252 sections
 * 7.3 and 8.3). The library lets it vary there, too.
 */
function varyPortsOfAddressesOnly(provider: Provider): void {
  const { prototype } = loose(provider.Client)
  const lists = { redirectUriAllowed: 'redirectUris', postLogoutRedirectUriAllowed: 'postLogoutRedirectUris' } as const
  for (const [method, list] of Object.entries(lists)) {
    const original = prototype[method] as (uri: string) => boolean
    prototype[method] = function (this: Record<typeof list, string[] | undefined>, uri: string) {
      if (URL.parse(uri)?.hostname === 'localhost') return this[list]?.includes(uri) ?? false
      return original.call(this, uri)
    }
  }
}

/**
 * A response type that nobody gets is answered as such (RFC 6749 section 4.1.2.1). The library would first object to the
 * fragment that goes with it by default.
 */
function judgeTypesBeforeModes(provider: Provider): void {
  const { prototype } = loose(provider.Client)
  const original = prototype.responseModeAllowed as (
    mode: string,
    type: string | undefined,
    profile: unknown,
  ) => boolean
  prototype.responseModeAllowed = function (mode: string, type: string | undefined, profile: unknown) {
    const supported = (type ?? 'code').split(' ').every((word) => word === 'code')
    return !supported || original.call(this, mode, type, profile)
  }
}

/** The library builds addresses from the Host header; ours come from the issuer alone. */
function pinUrls(provider: Provider): void {
  loose(provider.OIDCContext as never).prototype.urlFor = (name: string, options?: object) =>
    (provider as unknown as { urlFor(name: string, options?: object): string }).urlFor(name, options)
}

/** Parameters are measured as soon as they are read. */
function limitParameters(provider: Provider): void {
  const kept = new WeakMap<object, Record<string, unknown>>()
  Object.defineProperty(loose(provider.OIDCContext as never).prototype, 'params', {
    configurable: true,
    get(this: object) {
      return kept.get(this)
    },
    set(this: { body?: object }, params: Record<string, unknown>) {
      checkParameters(params, this.body)
      kept.set(this, params)
    },
  })
}

/** A token for an API that was asked for together with `openid` keeps the latter, so that userinfo can answer it. */
function keepOpenIdScopes(provider: Provider): void {
  const model = loose(provider.AccessToken)
  const save = model.prototype.save as () => Promise<string>
  model.prototype.save = function (this: { resourceServer?: unknown; scope?: string }) {
    const oidc = contextOf(provider)?.oidc
    const source = oidc?.entities.AuthorizationCode ?? oidc?.entities.RefreshToken
    const asked =
      oidc?.params?.scope && oidc.params.grant_type === 'refresh_token' ? oidc.requestParamScopes : source?.scopes
    if (this.resourceServer && asked?.has('openid')) {
      const granted = oidc!.entities.Grant!.getOIDCScopeFiltered(asked as Set<string>).split(' ')
      const kept = granted.filter((scope) => scope !== '' && scope !== 'offline_access')
      this.scope = [...new Set([...kept, ...(this.scope?.split(' ') ?? [])])].filter(Boolean).join(' ')
    }
    return save.call(this)
  }
}

/** Userinfo answers our own access tokens that carry `openid`, whatever API they are for and whatever their form. */
function acceptApiTokensAtUserinfo(provider: Provider, jwts: OwnJwts): void {
  const model = loose(provider.AccessToken)
  const find = (
    model.find as (value: string, options?: object) => Promise<{ aud?: string; scopes: Set<string> } | undefined>
  ).bind(model)
  model.find = async (value: string, options?: object) => {
    if (contextOf(provider)?.oidc.route !== 'userinfo') return find(value, options)
    const token = looksLikeJwt(value) ? await fromJwt(provider, jwts, value) : await find(value, options)
    if (token?.scopes.has('openid')) token.aud = undefined
    return token
  }
}

async function fromJwt(provider: Provider, jwts: OwnJwts, value: string) {
  const claims = await jwts.verify(value)
  if (!claims?.gid || !(await jwts.stands(claims))) return undefined
  return new provider.AccessToken({
    jti: claims.jti,
    clientId: claims.client_id,
    accountId: claims.sub,
    grantId: grantId(Buffer.from(claims.gid, 'base64url')),
    scope: claims.scope,
    aud: claims.aud,
    exp: claims.exp,
    iat: claims.iat,
    jkt: jktOf(claims),
    kind: 'AccessToken',
  } as never) as unknown as { aud?: string; scopes: Set<string> }
}

function looksLikeJwt(value: unknown): boolean {
  return typeof value === 'string' && value.split('.').length === 3
}

function loose(model: unknown): Loose {
  return model as Loose
}

function contextOf(provider: Provider) {
  return (provider.constructor as typeof Provider).ctx
}
