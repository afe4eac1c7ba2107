// What the engine keeps of people: their sessions, the interactions under way, and their grants.
import Provider, { type Adapter, type AdapterPayload } from 'oidc-provider'
import { grantKey } from '../sessions/grants.ts'
import type { SessionPayload } from '../sessions/sessions.ts'
import { nameOfPushed } from './adapt-pushed.ts'
import { abandonAsOver, actorAtHand, cameTooLate, isSigningOut, routeAtHand } from './at-hand.ts'
import type { GrantBegins } from './grant.ts'
import { LIFETIMES, type ProviderParts } from './parts.ts'
import { after, given, without } from './payload.ts'

/** @returns the adapters of these models */
export function adaptPeople(parts: ProviderParts) {
  return {
    Session: () => sessions(parts),
    Interaction: () => interactions(parts),
    Grant: () => grants(parts),
  }
}

function sessions(parts: ProviderParts): Partial<Adapter> {
  const {
    sessions: { sessions },
    tokens,
    now,
    audit,
  } = parts
  return {
    async upsert(id, payload, expiresIn) {
      if (cameTooLate()) return
      // The engine knows no lifetime below a second: without this end a session could be prolonged for ever, twice a second.
      const end =
        payload.loginTs === undefined ? Infinity : ((payload.loginTs as number) + LIFETIMES.sessionAbsolute) * 1000
      const expiresAt = new Date(Math.min(after(now, expiresIn).getTime(), end))
      const saved = await sessions.save(id, without(payload, 'jti') as SessionPayload, expiresAt)
      // Signed out while this request was on its way: what it made must not reach anybody.
      if (!saved) throw abandonAsOver(parts, 'session was ended')
    },
    find: async (id) => given(await sessions.find(id), { jti: id }),
    // Whoever looks a session up by its name gets to know it, but not the value that its cookie carries.
    findByUid: async (uid) => given(await sessions.findByUid(uid), { jti: `~${uid}` }),
    // A new value replaces the old one at a login, and where a person leaves one app but stays signed in.
    async destroy(id) {
      if (!isSigningOut()) return sessions.destroy(id)
      const { uid } = Provider.ctx!.oidc.session!
      // Read anew, under its lock: another tab may have got a grant since this request began, or has signed out.
      const ended = await sessions.endByUid(uid)
      if (!ended) return
      const { accountId, grants } = ended
      for (const grant of grants) await endGrant(parts, grant)
      // A session without a person is one in which somebody has only asked to sign out.
      if (accountId && (await tokens.endings.endNamed('session', uid, 'signed-out'))) {
        await audit({ kind: 'account.signed-out', actor: accountId, subject: accountId })
      }
    },
  }
}

function interactions(parts: ProviderParts): Partial<Adapter> {
  const {
    sessions: { interactions },
    tokens,
    now,
  } = parts
  return {
    upsert(id, payload, expiresIn) {
      const { session, parJti, ...rest } = without(payload, 'jti')
      const kept = {
        ...(session ? { session: without(session, 'cookie') } : {}),
        ...(typeof parJti === 'string' && { parJti: nameOfPushed(tokens.pushedRequests, parJti) }),
      }
      return interactions.save(id, { ...rest, ...kept }, after(now, expiresIn))
    },
    find: async (id) => given(await interactions.find(id), { jti: id }),
    async destroy(id) {
      // Of two browsers tabs, or a double click, that come back from the same page, one goes on.
      if (!(await interactions.destroy(id))) throw abandonAsOver(parts, 'interaction session not found')
    },
  }
}

function grants(parts: ProviderParts): Partial<Adapter> {
  const {
    sessions: { grants, sessions },
    now,
    audit,
  } = parts
  return {
    async upsert(id, { jti: _, begins, ...payload }: AdapterPayload & { begins?: GrantBegins }, expiresIn) {
      const owner = { accountId: payload.accountId as string, clientId: payload.clientId as string }
      const end = expiresIn ? after(now, expiresIn) : undefined
      const saved = begins
        ? await grants.make(id, { ...owner, ...begins }, payload, end)
        : await grants.change(id, owner, payload, end)
      if (!saved) throw abandonAsOver(parts, 'the grant, its account or its client was ended')
      const kind = begins ? 'grant.started' : 'grant.changed'
      await audit({ kind, actor: owner.accountId, subject: id, detail: { client: owner.clientId } })
    },
    find: async (id) => given(await grants.find(id), { jti: id }),
    async destroy(id) {
      // With its session, which is read anew for that.
      if (isSigningOut()) return
      // Whoever changes a grant has its session first.
      const { uid } = Provider.ctx?.oidc.session ?? {}
      if (uid) await sessions.hold(uid)
      await endGrant(parts, id)
    },
  }
}

async function endGrant({ sessions: { grants }, tokens, audit }: ProviderParts, id: string): Promise<void> {
  if ((await grants.destroy(id)) && (await tokens.revoke.grant(grantKey(id), 'signed-out'))) {
    await audit({ kind: 'grant.ended', actor: actorAtHand(), subject: id, detail: { route: routeAtHand() } })
  }
}
