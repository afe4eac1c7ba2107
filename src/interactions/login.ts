// Signing in with email and password.
import type Koa from 'koa'
import { emailKey } from '../accounts/email.ts'
import { LONGEST_TYPED } from '../accounts/password.ts'
import type { Caller } from '../http/client-ip.ts'
import { field } from '../http/form.ts'
import { showPage } from '../http/show-page.ts'
import { WRONG_CREDENTIALS } from '../http/views.ts'
import { refuseTry } from '../throttle/refuse.ts'
import { type InteractionDetails, redirectTarget } from './details.ts'
import type { InteractionParts } from './parts.ts'

/** Shows the sign-in page, at first or after a wrong try. */
export function showSignIn(
  parts: InteractionParts,
  ctx: Koa.Context,
  details: InteractionDetails,
  { email, error, throttled, switching }: { email?: string; error?: string; throttled?: string; switching?: boolean },
): void {
  const hint = details.params.login_hint
  showPage(
    ctx,
    'signIn',
    {
      appName: details.client.name,
      csrf: parts.csrf.issue(ctx, details.uid),
      action: ctx.path,
      email: email ?? (typeof hint === 'string' && !switching ? hint : undefined),
      error,
      throttled,
      switching: switching ?? ctx.path.endsWith('/switch'),
    },
    { status: throttled ? 429 : error ? 401 : 200, formAction: redirectTarget(details) },
  )
}

/**
 * Takes the sign-in form. A wrong password and an unknown email are told apart nowhere, and either is a try of which there are not
 * many. The try is spent before the password is looked at, so that many at once are no more than one after the other.
 */
export async function signIn(parts: InteractionParts, ctx: Koa.Context, details: InteractionDetails): Promise<void> {
  const email = field(ctx, 'email')
  const password = field(ctx, 'password', LONGEST_TYPED)
  const account = emailKey(email)
  const { address } = ctx.state.caller as Caller
  const device = await parts.devices.recognise(ctx, account)
  const attempt = await parts.throttle.signIn({ account, address, device })
  if (!attempt.ok) {
    return refuseTry(ctx, attempt, (throttled) => showSignIn(parts, ctx, details, { email, throttled }))
  }
  const verdict = await parts.authenticate(email, password, attempt.giveBack)
  if (!verdict.ok) {
    showSignIn(parts, ctx, details, { email, error: WRONG_CREDENTIALS })
    return
  }
  await parts.devices.remember(ctx, account)
  const accountId = verdict.account.id
  if (!(await details.claim(({ login }) => login?.accountId === accountId))) return details.goOn()
  await parts.audit({
    kind: 'account.signed-in',
    actor: accountId,
    subject: accountId,
    detail: { client: details.client.id },
  })
  await details.finish({ login: { accountId, amr: ['pwd'], remember: true } })
}
