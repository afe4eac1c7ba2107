// Signing in with email and password.
import type Koa from 'koa'
import { field } from '../http/form.ts'
import { showPage } from '../http/show-page.ts'
import { WRONG_CREDENTIALS } from '../http/views.ts'
import { type InteractionDetails, redirectTarget } from './details.ts'
import type { InteractionParts } from './parts.ts'

/** Shows the sign-in page, at first or after a wrong try. */
export function showSignIn(
  parts: InteractionParts,
  ctx: Koa.Context,
  details: InteractionDetails,
  { email, error, switching }: { email?: string; error?: string; switching?: boolean },
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
      switching: switching ?? ctx.path.endsWith('/switch'),
    },
    { status: error ? 401 : 200, formAction: redirectTarget(details) },
  )
}

/** Takes the sign-in form. A wrong password and an unknown email are told apart nowhere. */
export async function signIn(parts: InteractionParts, ctx: Koa.Context, details: InteractionDetails): Promise<void> {
  const email = field(ctx, 'email')
  const verdict = await parts.authenticate(email, field(ctx, 'password', 4096))
  if (!verdict.ok) {
    showSignIn(parts, ctx, details, { email, error: WRONG_CREDENTIALS })
    return
  }
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
