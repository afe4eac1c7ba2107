// Between the engine's models and our stores. The engine's rules of single use are check-then-act; here they are made exact.
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { type Client, secretForm } from '../clients/client.ts'
import { grantId, grantKey } from '../sessions/grants.ts'
import type { SessionPayload } from '../sessions/sessions.ts'
import type { AccessToken } from '../tokens/access-tokens.ts'
import type { PushedRequest, PushedRequests } from '../tokens/pushed-requests.ts'
import { clientMetadata, factsOf } from './client-metadata.ts'
import { familyAtHand } from './family-at-hand.ts'
import { LIFETIMES, type ProviderParts } from './parts.ts'

type Payload = Record<string, unknown>

/**
 * @returns the factory that the engine calls once per model
 */
export function createAdapterFactory(parts: ProviderParts): (model: string) => Adapter {
  const make: Record<string, () => Partial<Adapter>> = {
    Client: () => clients(parts),
    Session: () => sessions(parts),
    Interaction: () => interactions(parts),
    Grant: () => grants(parts),
    PushedAuthorizationRequest: () => pushedRequests(parts),
    AuthorizationCode: () => codes(parts),
    RefreshToken: () => refreshTokens(parts),
    AccessToken: () => accessTokens(parts, 'AccessToken'),
    ClientCredentials: () => accessTokens(parts, 'ClientCredentials'),
  }
  return (model) => ({ ...refuseAll(model), ...make[model]?.() }) as Adapter
}

const AUTHENTICATING = new Set(['token', 'introspection', 'revocation', 'pushed_authorization_request'])

/** Models of features that are switched off: reading finds nothing, writing is a fault of ours. */
function refuseAll(model: string): Adapter {
  const refuse = async () => {
    throw new Error(`no storage for ${model}`)
  }
  const nothing = async () => undefined
  return {
    upsert: refuse,
    find: nothing,
    findByUid: nothing,
    findByUserCode: nothing,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: nothing,
  }
}

function clients({ findClient, verifySecret, sealedSecrets, ring }: ProviderParts): Partial<Adapter> {
  return {
    async find(id) {
      const client: Client | undefined = await findClient(id)
      if (client && !client.disabledAt) {
        const sealed = secretForm(client) === 'sealed' ? await sealedSecrets.list(id) : []
        return clientMetadata(client, ring, sealed) as AdapterPayload
      }
      // As much work as for a wrong secret, so that time does not tell which clients there are.
      if (AUTHENTICATING.has(routeAtHand() ?? '')) await verifySecret(id, '')
      return undefined
    },
  }
}

function sessions({ sessions: { sessions }, tokens, now, audit }: ProviderParts): Partial<Adapter> {
  return {
    async upsert(id, payload, expiresIn) {
      if (cameTooLate.has(Provider.ctx!)) return
      // The engine knows no lifetime below a second: without this end a session could be prolonged for ever, twice a second.
      const end =
        payload.loginTs === undefined ? Infinity : ((payload.loginTs as number) + LIFETIMES.sessionAbsolute) * 1000
      const expiresAt = new Date(Math.min(after(now, expiresIn).getTime(), end))
      const saved = await sessions.save(id, without(payload, 'jti') as SessionPayload, expiresAt)
      // Signed out while this request was on its way: what it made must not reach anybody.
      if (!saved) throw new errors.SessionNotFound('session was ended')
    },
    find: async (id) => given(await sessions.find(id), { jti: id }),
    // Whoever looks a session up by its name gets to know it, but not the value that its cookie carries.
    findByUid: async (uid) => given(await sessions.findByUid(uid), { jti: `~${uid}` }),
    // A new value replaces the old one at a login, and where a person leaves one app but stays signed in.
    async destroy(id) {
      if (!isSigningOut()) return sessions.destroy(id)
      const { uid, accountId } = Provider.ctx?.oidc.session ?? {}
      await sessions.end(id)
      if (uid && accountId) await tokens.endings.endNamed('session', uid, 'signed-out')
      if (accountId) await audit({ kind: 'account.signed-out', actor: accountId, subject: accountId })
    },
  }
}

function interactions({ sessions: { interactions }, tokens, now }: ProviderParts): Partial<Adapter> {
  return {
    upsert(id, payload, expiresIn) {
      const { session, parJti, ...rest } = without(payload, 'jti')
      const kept = {
        ...(session ? { session: without(session, 'cookie') } : {}),
        ...(typeof parJti === 'string' && { parJti: nameOf(tokens.pushedRequests, parJti) }),
      }
      return interactions.save(id, { ...rest, ...kept }, after(now, expiresIn))
    },
    find: async (id) => given(await interactions.find(id), { jti: id }),
    async destroy(id) {
      // Of two browsers tabs, or a double click, that come back from the same page, one goes on.
      if (!(await interactions.destroy(id))) throw new errors.SessionNotFound('interaction session not found')
    },
  }
}

function grants({ sessions: { grants }, now, tokens, audit }: ProviderParts): Partial<Adapter> {
  return {
    async upsert(id, payload, expiresIn) {
      const owner = { accountId: payload.accountId as string, clientId: payload.clientId as string }
      const end = expiresIn ? after(now, expiresIn) : undefined
      // Account or client went while the request was on its way.
      const saved = await grants.save(id, owner, without(payload, 'jti'), end)
      if (!saved) throw new errors.SessionNotFound('account or client is gone')
      const kind = saved === 'made' ? 'grant.started' : 'grant.changed'
      await audit({ kind, actor: owner.accountId, subject: id, detail: { client: owner.clientId } })
    },
    find: async (id) => given(await grants.find(id), { jti: id }),
    async destroy(id) {
      if ((await grants.destroy(id)) && (await tokens.revoke.grant(grantKey(id), 'signed-out'))) {
        await audit({ kind: 'grant.ended', actor: actorAtHand(), subject: id, detail: { route: routeAtHand() } })
      }
    },
  }
}

/**
 * Authorization requests that found their pushed request used, with nobody having signed in meanwhile: they have nothing to
 * say about the session, and many at once would queue for it, one after the other.
 */
const cameTooLate = new WeakSet<object>()

/** How an interaction knows a pushed request: by its row key, which is not what the client has. */
const BY_KEY = '~'

function nameOf({ key }: PushedRequests, id: string): string {
  return id.startsWith(BY_KEY) ? id : `${BY_KEY}${key(id).toString('base64url')}`
}

function pushedRequests({ tokens: { pushedRequests }, now }: ProviderParts): Partial<Adapter> {
  const keyOf = (id: string) => Buffer.from(nameOf(pushedRequests, id).slice(BY_KEY.length), 'base64url')
  return {
    upsert: (id, payload, expiresIn) =>
      pushedRequests.save(
        keyOf(id),
        Provider.ctx!.oidc.client!.clientId,
        payload as unknown as PushedRequest,
        after(now, expiresIn),
      ),
    async find(id) {
      const oidc = Provider.ctx!.oidc
      const arriving = oidc.route === 'authorization'
      if (arriving && id.startsWith(BY_KEY)) return undefined
      const found = await pushedRequests.find(keyOf(id))
      // Looked up again at the end of a sign-in; the engine would take one that is gone for one that never was.
      if (!found && !arriving) return { consumed: true } as AdapterPayload
      if (!found || found.clientId !== oidc.client?.clientId) return undefined
      const { clientId, consumed, expiresAt, ...request } = found
      const exp = Math.floor(expiresAt.getTime() / 1000)
      return given(request, { jti: id, exp, ...(consumed && { consumed: true }) })
    },
    async consume(id) {
      if (await pushedRequests.consume(keyOf(id))) return
      if (routeAtHand() === 'authorization') cameTooLate.add(Provider.ctx!)
      throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
    },
  }
}

function codes({ tokens: { codes, families, revoke }, audit, now }: ProviderParts): Partial<Adapter> {
  const replayed = async (code: string) => {
    if (await revoke.family(families.names.ofCode(code), 'code-replayed')) {
      await audit({ kind: 'code.replayed', actor: actorAtHand() })
    }
  }
  return {
    upsert: (id, payload, expiresIn) =>
      codes.save(id, grantKey(payload.grantId as string), without(payload, 'jti'), after(now, expiresIn)),
    async find(id) {
      const record = await codes.find(id)
      return record && given(record.payload, { jti: id, ...(record.consumed && { consumed: true }) })
    },
    async consume(id) {
      if (await codes.consume(id)) return audit({ kind: 'code.redeemed', actor: actorAtHand() })
      // Another request was first. A code used twice has leaked, whether the two came together or one after the other.
      await replayed(id)
      throw new errors.InvalidGrant('authorization code already consumed')
    },
    destroy: (id) => codes.destroy(id),
    // The engine asks for everything of the grant to go. A replayed code ends what came from it; other codes of the same
    // grant have done nothing wrong.
    async revokeByGrantId() {
      const { code } = paramsAtHand()
      if (routeAtHand() === 'token' && code !== undefined) await replayed(code)
    },
  }
}

function refreshTokens({ tokens: { families, revoke }, audit, now }: ProviderParts): Partial<Adapter> {
  const rotatedHere = new WeakSet<object>()
  return {
    async upsert(id, payload, expiresIn) {
      const expiresAt = after(now, expiresIn)
      const stored = without(payload, 'jti')
      if (Provider.ctx?.oidc.entities.RotatedRefreshToken) {
        // Of many who present the same token at once, only the one that rotated writes: the others would queue for the row.
        return rotatedHere.has(Provider.ctx) ? families.describe(id, stored, expiresAt) : undefined
      }
      const absolute = new Date(((payload.iiat as number) + LIFETIMES.refreshAbsolute) * 1000)
      await families.start(id, grantKey(payload.grantId as string), stored, expiresAt, absolute)
      await audit({ kind: 'family.started', actor: actorAtHand(), subject: payload.accountId })
    },
    async find(id) {
      const record = await families.find(id)
      if (!record) return undefined
      const exp = Math.floor(record.expiresAt.getTime() / 1000)
      return given(record.payload, { jti: id, exp, ...(record.state === 'reused' && { consumed: true }) })
    },
    async consume(id) {
      const outcome = await families.rotate(id)
      if (outcome === 'rotated') {
        rotatedHere.add(Provider.ctx!)
        return audit({ kind: 'family.rotated', actor: actorAtHand() })
      }
      // Read as current, but replaced twice since: as late as any other old token.
      if (outcome === 'refused') throw new errors.InvalidGrant('refresh token already used')
    },
    async destroy(id) {
      const family = families.names.ofToken(id)
      const reason = routeAtHand() === 'revocation' ? 'revoked' : 'refresh-reuse'
      if (family && (await revoke.family(family, reason))) {
        await audit({ kind: 'family.ended', actor: actorAtHand(), detail: { reason } })
      }
    },
  }
}

function accessTokens({ tokens: { accessTokens, families }, audit }: ProviderParts, model: string): Partial<Adapter> {
  return {
    async upsert(id, payload) {
      const { grant, sessionUid, jkt, facts } = takeApart(payload)
      const owner = grant
        ? { grant, family: familyAtHand(families.names), sessionUid }
        : { clientEpoch: factsOf(Provider.ctx!.oidc.client!).epoch }
      await accessTokens.save(id, owner, facts, {
        binding: { jkt },
        issuedAt: new Date(payload.iat! * 1000),
        expiresAt: new Date(payload.exp! * 1000),
      })
      await audit({ kind: 'token.issued', actor: actorAtHand(), subject: payload.accountId ?? payload.clientId })
    },
    async find(id) {
      const token = await accessTokens.find(id)
      return token && (token.person ? 'AccessToken' : 'ClientCredentials') === model
        ? given(putTogether(token), { jti: id })
        : undefined
    },
    async destroy(id) {
      if (await accessTokens.destroy(id)) await audit({ kind: 'token.revoked', actor: actorAtHand() })
    },
  }
}

/** What is kept of an access token in columns of its own, and the rest, which many tokens have in common. */
function takeApart({
  jti,
  kind,
  iat,
  exp,
  clientId,
  accountId,
  grantId: id,
  sessionUid,
  jkt,
  ...facts
}: AdapterPayload) {
  return { grant: id === undefined ? undefined : grantKey(id), sessionUid, jkt, facts }
}

function putTogether({ facts, clientId, person, binding, issuedAt, expiresAt }: AccessToken): Payload {
  return {
    ...facts,
    ...binding,
    clientId,
    ...(person && { accountId: person.accountId, grantId: grantId(person.grant), sessionUid: person.sessionUid }),
    iat: Math.floor(issuedAt.getTime() / 1000),
    exp: Math.floor(expiresAt.getTime() / 1000),
  }
}

function routeAtHand(): string | undefined {
  return Provider.ctx?.oidc.route
}

function paramsAtHand(): { code?: string; logout?: string } {
  return (Provider.ctx?.oidc.params ?? {}) as { code?: string; logout?: string }
}

function isSigningOut(): boolean {
  return routeAtHand() === 'end_session_confirm' && Boolean(paramsAtHand().logout)
}

/** Who the audit entry names: the client that calls, else the account of the session. */
export function actorAtHand(): string {
  const oidc = Provider.ctx?.oidc
  if (oidc?.client) return `client:${oidc.client.clientId}`
  return oidc?.session?.accountId ?? 'anonymous'
}

function after(now: () => Date, seconds: number | undefined): Date {
  if (seconds === undefined) throw new Error('an artefact of the engine has no lifetime')
  return new Date(now().getTime() + seconds * 1000)
}

function without(payload: object, key: string): Payload {
  const { [key]: _, ...rest } = payload as Payload
  return rest
}

function given(payload: Payload | undefined, more: Payload): AdapterPayload | undefined {
  return payload && ({ ...payload, ...more } as AdapterPayload)
}
