// Between the engine's models and our stores. The engine's rules of single use are check-then-act; here they are made exact.
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { Client } from '../clients/client.ts'
import type { SessionPayload } from '../sessions/sessions.ts'
import { clientMetadata } from './client-metadata.ts'
import { familyAtHand } from './family-at-hand.ts'
import { LIFETIMES, type ProviderParts } from './parts.ts'

type Payload = Record<string, unknown>

/** Marks a grant named by its row key, which is all that a JWT access token knows of it. */
export const GRANT_KEY_PREFIX = '~'

/**
 * @returns the factory that the engine calls once per model
 */
export function createAdapterFactory(parts: ProviderParts): (model: string) => Adapter {
  const make: Record<string, () => Partial<Adapter>> = {
    Client: () => clients(parts),
    Session: () => sessions(parts),
    Interaction: () => interactions(parts),
    Grant: () => grants(parts),
    AuthorizationCode: () => codes(parts),
    RefreshToken: () => refreshTokens(parts),
    AccessToken: () => accessTokens(parts, 'AccessToken'),
    ClientCredentials: () => accessTokens(parts, 'ClientCredentials'),
  }
  return (model) => ({ ...refuseAll(model), ...make[model]?.() }) as Adapter
}

const AUTHENTICATING = new Set(['token', 'introspection', 'revocation'])

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

function clients({ findClient, verifySecret, ring }: ProviderParts): Partial<Adapter> {
  return {
    async find(id) {
      const client: Client | undefined = await findClient(id)
      if (client && !client.disabledAt) return clientMetadata(client, ring) as AdapterPayload
      // As much work as for a wrong secret, so that time does not tell which clients there are.
      if (AUTHENTICATING.has(routeAtHand() ?? '')) await verifySecret(id, '')
      return undefined
    },
  }
}

function sessions({ sessions: { sessions }, now, audit }: ProviderParts): Partial<Adapter> {
  return {
    async upsert(id, payload, expiresIn) {
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
      await sessions.end(id)
      const accountId = Provider.ctx?.oidc.session?.accountId
      if (accountId) await audit({ kind: 'account.signed-out', actor: accountId, subject: accountId })
    },
  }
}

function interactions({ sessions: { interactions }, now }: ProviderParts): Partial<Adapter> {
  return {
    upsert(id, payload, expiresIn) {
      const { session, ...rest } = without(payload, 'jti')
      const kept = session ? { session: without(session, 'cookie') } : {}
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
    upsert(id, payload, expiresIn) {
      const owner = { accountId: payload.accountId as string | undefined, clientId: payload.clientId as string }
      return grants.save(id, owner, without(payload, 'jti'), expiresIn ? after(now, expiresIn) : undefined)
    },
    find: async (id) =>
      given(
        id.startsWith(GRANT_KEY_PREFIX)
          ? await grants.findByKey(Buffer.from(id.slice(GRANT_KEY_PREFIX.length), 'base64url'))
          : await grants.find(id),
        { jti: id },
      ),
    async destroy(id) {
      await grants.destroy(id)
      if (await tokens.revoke.grant(id, 'grant-ended')) {
        await audit({ kind: 'grant.ended', actor: actorAtHand(), detail: { route: routeAtHand() } })
      }
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
      codes.save(id, payload.grantId as string, without(payload, 'jti'), after(now, expiresIn)),
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
      await families.start(id, payload.grantId as string, stored, expiresAt, absolute)
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

function accessTokens(
  { tokens: { accessTokens, families }, audit, now }: ProviderParts,
  model: string,
): Partial<Adapter> {
  return {
    async upsert(id, payload, expiresIn) {
      const owner = { grantId: payload.grantId as string | undefined, family: familyAtHand(families.names) }
      await accessTokens.save(id, owner, without(payload, 'jti'), after(now, expiresIn))
      await audit({ kind: 'token.issued', actor: actorAtHand(), subject: payload.accountId ?? payload.clientId })
    },
    async find(id) {
      const payload = await accessTokens.find(id)
      return payload?.kind === model ? given(payload, { jti: id }) : undefined
    },
    async destroy(id) {
      await accessTokens.destroy(id)
      await audit({ kind: 'token.revoked', actor: actorAtHand() })
    },
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
