// Where the grant of an authorization request comes from: this session, a remembered decision, or the operator's word that
// an app is our own.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { isConfidential } from '../clients/client.ts'
import type { AllowedScopes } from '../sessions/consents.ts'
import { factsOf } from './client-metadata.ts'
import type { ProviderParts } from './parts.ts'

type EngineGrant = InstanceType<KoaContextWithOIDC['oidc']['provider']['Grant']>

/** @returns the engine's `loadExistingGrant` */
export function createLoadGrant({ sessions: { consents } }: Pick<ProviderParts, 'sessions'>) {
  return async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<EngineGrant | undefined> {
    const { oidc } = ctx
    const client = oidc.client!
    const accountId = oidc.account!.accountId
    const inSession = oidc.result?.consent?.grantId ?? oidc.session!.grantIdFor(client.clientId)
    const found = inSession ? await oidc.provider.Grant.find(inSession) : undefined
    // Another account may have used this browser before.
    const existing = found && found.accountId === accountId && found.clientId === client.clientId ? found : undefined

    const missing = missingScopes(ctx, existing, await allowedWithoutAsking(ctx, accountId))
    if (!missing) return existing
    const grant = existing ?? new oidc.provider.Grant({ accountId, clientId: client.clientId })
    if (missing.openid.length > 0) grant.addOIDCScope(missing.openid.join(' '))
    for (const [id, scopes] of Object.entries(missing.resources)) {
      if (scopes.length > 0) grant.addResourceScope(id, scopes.join(' '))
    }
    await grant.save()
    return grant
  }

  async function allowedWithoutAsking(ctx: KoaContextWithOIDC, accountId: string): Promise<AllowedScopes | undefined> {
    const client = ctx.oidc.client!
    const facts = factsOf(client)
    if (facts.firstParty) return requestedScopes(ctx)
    // A public client cannot prove who it is, so an earlier decision says nothing about who asks now.
    return isConfidential(facts) ? consents.find(accountId, client.clientId) : undefined
  }
}

/** @returns the scopes of the request at hand, by whom they belong to */
export function requestedScopes(ctx: KoaContextWithOIDC): AllowedScopes {
  const { oidc } = ctx
  const asked = [...oidc.requestParamScopes]
  const resources = Object.fromEntries(
    Object.entries(oidc.resourceServers ?? {}).map(([id, server]) => [
      id,
      asked.filter((scope) => server.scopes.has(scope)),
    ]),
  )
  return { openid: [...oidc.requestParamOIDCScopes], resources }
}

/** What is asked and allowed, but not in the grant yet; undefined when nothing is. */
function missingScopes(
  ctx: KoaContextWithOIDC,
  grant: EngineGrant | undefined,
  allowed: AllowedScopes | undefined,
): AllowedScopes | undefined {
  if (!allowed) return undefined
  const asked = requestedScopes(ctx)
  const lacking = (wanted: readonly string[], may: readonly string[], has: string) => {
    const there = new Set(has.split(' '))
    return wanted.filter((scope) => may.includes(scope) && !there.has(scope))
  }
  const openid = lacking(asked.openid, allowed.openid, grant?.getOIDCScopeEncountered() ?? '')
  const resources = Object.fromEntries(
    Object.entries(asked.resources).map(([id, scopes]) => [
      id,
      lacking(scopes, allowed.resources[id] ?? [], grant?.getResourceScopeEncountered(id) ?? ''),
    ]),
  )
  const any = openid.length > 0 || Object.values(resources).some((scopes) => scopes.length > 0)
  return any ? { openid, resources } : undefined
}
