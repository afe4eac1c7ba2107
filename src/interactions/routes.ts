// The pages of a login or consent under way. They tell the engine what the person decided and go back to it; what comes
// next is the engine's to say, from the stored request.
import Router from '@koa/router'
import type Koa from 'koa'
import { errors } from 'oidc-provider'
import { field, readForm } from '../http/form.ts'
import { Problem } from '../http/problem.ts'
import { showPage } from '../http/show-page.ts'
import { allowAccess, consentPage } from './consent.ts'
import { readInteraction, seeOther } from './details.ts'
import { showSignIn, signIn } from './login.ts'
import type { InteractionParts } from './parts.ts'

/** @returns the routes below `/interaction` */
export function interactionRoutes(parts: InteractionParts): Koa.Middleware {
  const router = new Router()

  router.get('/interaction/:uid', async (ctx) => {
    const details = await readInteraction(parts, ctx)
    if (details.prompt.name === 'consent') await consentPage(parts, ctx, details)
    else showSignIn(parts, ctx, details, {})
  })

  router.get('/interaction/:uid/switch', async (ctx) => {
    showSignIn(parts, ctx, await readInteraction(parts, ctx), { switching: true })
  })

  const decide: Koa.Middleware = async (ctx) => {
    const details = await readInteraction(parts, ctx)
    parts.csrf.check(ctx, details.uid, field(ctx, 'csrf'))
    switch (field(ctx, 'action')) {
      case 'sign-in':
        return signIn(parts, ctx, details)
      case 'allow':
        return allowAccess(parts, ctx, details)
      case 'switch':
        return seeOther(ctx, `/interaction/${details.uid}/switch`)
      case 'cancel':
      case 'deny':
        if (!(await details.claim(({ error }) => error !== undefined))) return details.goOn()
        // Who is nobody yet refuses nothing, and could fill the audit, which is kept for ever.
        if (details.session?.accountId) {
          await parts.audit({
            kind: 'consent.refused',
            actor: details.session.accountId,
            subject: details.client.id,
          })
        }
        return details.finish({ error: 'access_denied', error_description: 'the person cancelled' })
      default:
        throw new Problem(400, 'invalid_request', 'Press one of the buttons of the page.')
    }
  }
  router.post('/interaction/:uid', readForm(), decide as never)
  router.post('/interaction/:uid/switch', readForm(), decide as never)

  const routes = router.routes() as unknown as Koa.Middleware
  return async (ctx, next) => {
    try {
      await routes(ctx, next)
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error
      parts.abandon()
      await showExpired(parts, ctx)
    }
  }
}

async function showExpired({ interactions, issuer, findClient }: InteractionParts, ctx: Koa.Context): Promise<void> {
  const uid = /^\/interaction\/([^/]+)/.exec(ctx.path)?.[1] ?? ''
  const params = (await interactions.findExpired(uid))?.params as Record<string, string | string[]> | undefined
  const client = typeof params?.client_id === 'string' ? await findClient(params.client_id) : undefined
  showPage(
    ctx,
    'expired',
    { appName: client?.name, restartUrl: params && restartUrl(issuer, params), requestId: ctx.state.requestId },
    { status: 400 },
  )
}

/** The same request once more, from the start, without what it said of the person: whoever has the address sees it. */
function restartUrl(issuer: string, params: Record<string, string | string[]>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    if (name === 'login_hint' || name === 'id_token_hint') continue
    for (const one of [value].flat()) query.append(name, one)
  }
  return `${issuer}/authorize?${query}`
}
