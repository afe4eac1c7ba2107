// Asking a person whether an app may have access, and remembering the answer.
import type Koa from 'koa'
import { errors } from 'oidc-provider'
import { type Client, isConfidential } from '../clients/client.ts'
import { showPage } from '../http/show-page.ts'
import type { PermissionGroup } from '../http/views.ts'
import { allowedScopes } from '../resources/scope-policy.ts'
import type { AllowedScopes } from '../sessions/consents.ts'
import { type InteractionDetails, redirectTarget, seeOther } from './details.ts'
import type { InteractionParts } from './parts.ts'

// The server's own scopes in words.
const ACCOUNT_SCOPES: Record<string, string> = {
  openid: 'Know that it is you',
  profile: 'See your name',
  email: 'See your email address',
}

/** Shows the consent page. Everything on it comes from the stored request and from what operators registered. */
export async function consentPage(
  parts: InteractionParts,
  ctx: Koa.Context,
  details: InteractionDetails,
): Promise<void> {
  const { client } = details
  const account = details.session && (await parts.findAccount(details.session.accountId))
  const { asked, groups } = await describeRequest(parts, details)
  const redirect = new URL(String(details.params.redirect_uri))
  const staysConnected = client.refresh === 'offline' || asked.openid.includes('offline_access')
  const action = `/interaction/${details.uid}`
  showPage(
    ctx,
    'consent',
    {
      appName: client.name,
      appHost: redirect.host || redirect.protocol,
      accountEmail: account?.email ?? '',
      switchAction: action,
      groups,
      staysConnected,
      lasts: lifetimeWords(parts.lifetimes, client.refresh, staysConnected),
      returnsTo: redirect.origin === 'null' ? redirect.protocol : redirect.origin,
      csrf: parts.csrf.issue(ctx, details.uid),
      action,
    },
    { formAction: redirectTarget(details) },
  )
}

/** Takes "Allow access": makes or extends the grant, once however often the button is pressed. */
export async function allowAccess(
  parts: InteractionParts,
  ctx: Koa.Context,
  details: InteractionDetails,
): Promise<void> {
  const { session, client } = details
  if (!session?.accountId || details.prompt.name !== 'consent') {
    return seeOther(ctx, `/interaction/${details.uid}`)
  }
  const { asked } = await describeRequest(parts, details)
  if (!(await details.claim(({ consent }) => consent?.grantId !== undefined))) return details.goOn()
  // Whoever signs out, changes the password or disables the account meanwhile comes before this, or after it and ends it.
  const held = await parts.sessions.hold(session.uid)
  if (!held || held === 'ended' || held.accountId !== session.accountId || held.epoch === undefined) {
    throw new errors.SessionNotFound('session was ended')
  }
  const answer = { client, accountId: session.accountId, epoch: held.epoch, asked }
  const grantId = await saveGrant(parts, answer, held.grants[client.id])
  await parts.sessions.noteGrant(session.uid, client.id, grantId)
  await details.finish({ consent: { grantId } }, { mergeWithLastSubmission: true })
}

async function saveGrant(
  parts: InteractionParts,
  { client, accountId, epoch, asked }: { client: Client; accountId: string; epoch: string; asked: AllowedScopes },
  grantId: string | undefined,
): Promise<string> {
  const { Grant } = parts.provider()
  const found = grantId ? await Grant.find(grantId) : undefined
  const fits = found?.accountId === accountId && found.clientId === client.id
  const grant = fits ? found : Object.assign(new Grant({ accountId, clientId: client.id }), { begins: { epoch } })
  if (asked.openid.length > 0) grant.addOIDCScope(asked.openid.join(' '))
  for (const [id, scopes] of Object.entries(asked.resources)) {
    if (scopes.length > 0) grant.addResourceScope(id, scopes.join(' '))
  }
  // A public client is asked again each time, so nothing is remembered that nobody would read.
  if (isConfidential(client) && !(await parts.consents.remember(accountId, client.id, asked, epoch))) {
    throw new errors.SessionNotFound('account or client was ended')
  }
  await parts.audit({ kind: 'consent.given', actor: accountId, subject: client.id, detail: { ...asked } })
  return grant.save()
}

async function describeRequest(
  parts: InteractionParts,
  details: InteractionDetails,
): Promise<{ asked: AllowedScopes; groups: PermissionGroup[] }> {
  const { client } = details
  const scopes = String(details.params.scope ?? '')
    .split(' ')
    .filter(Boolean)
  const openid = scopes.filter((scope) => Object.hasOwn(ACCOUNT_SCOPES, scope) || scope === 'offline_access')
  const resources: Record<string, string[]> = {}
  const groups: PermissionGroup[] = []
  for (const id of [details.params.resource ?? []].flat() as string[]) {
    const resource = await parts.findResource(id)
    if (!resource) continue
    const allowed = allowedScopes(resource, client)
    const wanted = resource.scopes.filter(({ name }) => scopes.includes(name) && allowed.includes(name))
    resources[id] = wanted.map(({ name }) => name)
    if (wanted.length > 0)
      groups.push({ resourceName: resource.name, items: wanted.map(({ text, risk }) => ({ text, risk })) })
  }
  const account = openid.flatMap((scope) =>
    ACCOUNT_SCOPES[scope] ? [{ text: ACCOUNT_SCOPES[scope], risk: 'low' as const }] : [],
  )
  if (account.length > 0) groups.push({ resourceName: 'Your account', items: account })
  return { asked: { openid, resources }, groups }
}

function lifetimeWords(
  { refresh, session }: InteractionParts['lifetimes'],
  kind: string,
  staysConnected: boolean,
): string {
  const days = (seconds: number) => `${seconds / 86_400} days`
  if (staysConnected) return `Access lasts until it is removed, and for at most ${days(refresh)} without a new sign-in.`
  if (kind === 'session') return `Access ends when you sign out, and after ${days(session)} at the latest.`
  return 'Access ends after a few minutes; the app then asks again.'
}
