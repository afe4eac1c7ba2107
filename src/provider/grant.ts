// Where the grant of an authorization request comes from: this session, a remembered decision, or the operator's word that
// an app is our own.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { isConfidential } from '../clients/client.ts'
import type { AllowedScopes, Consents } from '../sessions/consents.ts'
import { abandonAsOver } from './at-hand.ts'
import { factsOf } from './client-metadata.ts'
import type { ProviderParts } from './parts.ts'

/** What our pages and we add to a grant that is saved for the first time; it is not stored. */
export interface GrantBegins {
  /** of the account, as the session has it; undefined when this request begins the session */
  readonly epoch?: string
}

type EngineGrant = InstanceType<KoaContextWithOIDC['oidc']['provider']['Grant']> & { begins?: GrantBegins }

/** @returns the engine's `loadExistingGrant` */
export function createLoadGrant(parts: Pick<ProviderParts, 'sessions' | 'abandon'>) {
  const { consents, sessions } = parts.sessions
  return async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<EngineGrant | undefined> {
    const { session, result } = ctx.oidc
    const clientId = ctx.oidc.client!.clientId
    const existing = await findOwn(ctx, result?.consent?.grantId ?? session!.grantIdFor(clientId))
    if (!notYetGranted(ctx, existing, await allowedWithoutAsking(ctx, consents.find))) return existing

    // All that decides is read once more when nobody else can change it: another tab may have got a grant for the same app,
    // the session may have been ended, or the decision withdrawn.
    const held = await sessions.hold(session!.uid)
    if (held === 'ended') throw abandonAsOver(parts, 'session was ended')
    const mine = held?.accountId === ctx.oidc.account!.accountId ? held : undefined
    const now = await findOwn(ctx, mine?.grants[clientId] ?? existing?.jti)
    const missing = notYetGranted(ctx, now, await allowedWithoutAsking(ctx, consents.hold))
    return missing ? extend(ctx, now, missing, mine?.epoch) : now
  }

  async function allowedWithoutAsking(
    { oidc }: KoaContextWithOIDC,
    remembered: Consents['find'],
  ): Promise<AllowedScopes | undefined> {
    const facts = factsOf(oidc.client!)
    if (facts.firstParty) return requestedScopes(oidc)
    // A public client cannot prove who it is, so an earlier decision says nothing about who asks now.
    return isConfidential(facts) ? remembered(oidc.account!.accountId, oidc.client!.clientId) : undefined
  }
}

/** Another account may have used this browser before. */
async function findOwn({ oidc }: KoaContextWithOIDC, id: string | undefined): Promise<EngineGrant | undefined> {
  const found = id === undefined ? undefined : await oidc.provider.Grant.find(id)
  return found?.accountId === oidc.account!.accountId && found.clientId === oidc.client!.clientId ? found : undefined
}

async function extend(
  { oidc }: KoaContextWithOIDC,
  existing: EngineGrant | undefined,
  missing: AllowedScopes,
  epoch: string | undefined,
): Promise<EngineGrant> {
  const owner = { accountId: oidc.account!.accountId, clientId: oidc.client!.clientId }
  const grant = existing ?? Object.assign(new oidc.provider.Grant(owner), { begins: { epoch } })
  if (missing.openid.length > 0) grant.addOIDCScope(missing.openid.join(' '))
  for (const [id, scopes] of Object.entries(missing.resources)) {
    if (scopes.length > 0) grant.addResourceScope(id, scopes.join(' '))
  }
  await grant.save()
  return grant
}

/** @returns the scopes of the request at hand, by whom they belong to */
function requestedScopes(oidc: KoaContextWithOIDC['oidc']): AllowedScopes {
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
function notYetGranted(
  ctx: KoaContextWithOIDC,
  grant: EngineGrant | undefined,
  allowed: AllowedScopes | undefined,
): AllowedScopes | undefined {
  if (!allowed) return undefined
  const asked = requestedScopes(ctx.oidc)
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
