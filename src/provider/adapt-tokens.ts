// What the engine issues: codes, refresh tokens, opaque access tokens.
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { grantId, grantKey } from '../sessions/grants.ts'
import type { AccessToken } from '../tokens/access-tokens.ts'
import { CLOCK_TOLERANCE } from '../vocabulary/access-token.ts'
import { actorAtHand, paramsAtHand, routeAtHand } from './at-hand.ts'
import { factsOf } from './client-metadata.ts'
import { familyAtHand } from './family-at-hand.ts'
import { LIFETIMES, type ProviderParts } from './parts.ts'
import { after, given, type Payload, without } from './payload.ts'

/** @returns the adapters of these models */
export function adaptTokens(parts: ProviderParts) {
  return {
    AuthorizationCode: () => codes(parts),
    RefreshToken: () => refreshTokens(parts),
    AccessToken: () => accessTokens(parts, 'AccessToken'),
    ClientCredentials: () => accessTokens(parts, 'ClientCredentials'),
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
      if (record && !record.consumed && isAhead(now, record.payload.iat)) return undefined
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

/**
 * Made before the clock was put back. A code lives for a minute, and not for another hour because of that; what lives for long is
 * not ended for it.
 */
function isAhead(now: () => Date, iat: unknown): boolean {
  return Number(iat) > now().getTime() / 1000 + CLOCK_TOLERANCE
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
      const absoluteExpiresAt = new Date(((payload.iiat as number) + LIFETIMES.refreshAbsolute) * 1000)
      const grant = grantKey(payload.grantId as string)
      await families.start(id, { grant, payload: stored, expiresAt, absoluteExpiresAt })
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
