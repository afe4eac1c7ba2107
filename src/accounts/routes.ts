// The pages behind one-time links: the first administrator, and a password for somebody an operator has added.
import Router from '@koa/router'
import type Koa from 'koa'
import type { Csrf } from '../http/csrf.ts'
import { field, readForm } from '../http/form.ts'
import { showPage } from '../http/show-page.ts'
import type { Accounts } from './create.ts'
import { LONGEST_PASSWORD } from './password.ts'

/** @returns the routes `/admin/setup` and `/set-password` */
export function accountRoutes({ accounts, csrf }: { accounts: Accounts; csrf: Csrf }): Koa.Middleware {
  const router = new Router()
  const password = (ctx: Koa.Context) => field(ctx, 'password', LONGEST_PASSWORD * 2)

  router.get('/admin/setup', async (ctx) => {
    const token = tokenOf(ctx.query.token)
    if (!(await accounts.inspectAdminLink(token))) return expired(ctx, 'setup')
    showPage(ctx, 'setup', { token, csrf: csrf.issue(ctx, token), action: '/admin/setup' })
  })

  router.post('/admin/setup', readForm(), async (ctx) => {
    const token = tokenOf(field(ctx, 'token'))
    csrf.check(ctx, token, field(ctx, 'csrf'))
    const person = { email: field(ctx, 'email'), name: field(ctx, 'name'), password: password(ctx) }
    const outcome = await accounts.useAdminLink(token, person)
    if (outcome === 'expired') return expired(ctx, 'setup')
    if (outcome) {
      const { email, name } = person
      showPage(
        ctx,
        'setup',
        { token, csrf: csrf.issue(ctx, token), action: '/admin/setup', email, name, errors: outcome },
        { status: 422 },
      )
      return
    }
    showPage(ctx, 'done', {
      title: 'You are the administrator',
      what: `Sign in as ${person.email} from now on.`,
      next: { label: 'See what is here', url: '/' },
    })
  })

  router.get('/set-password', async (ctx) => {
    const token = tokenOf(ctx.query.token)
    const account = await accounts.inspectSetPasswordLink(token)
    if (!account) return expired(ctx, 'set-password')
    showPage(ctx, 'setPassword', { email: account.email, token, csrf: csrf.issue(ctx, token), action: '/set-password' })
  })

  router.post('/set-password', readForm(), async (ctx) => {
    const token = tokenOf(field(ctx, 'token'))
    csrf.check(ctx, token, field(ctx, 'csrf'))
    const account = await accounts.inspectSetPasswordLink(token)
    const outcome = await accounts.useSetPasswordLink(token, password(ctx))
    if (outcome === 'expired' || !account) return expired(ctx, 'set-password')
    if (outcome) {
      const page = {
        email: account.email,
        token,
        csrf: csrf.issue(ctx, token),
        action: '/set-password',
        error: outcome.password,
      }
      showPage(ctx, 'setPassword', page, { status: 422 })
      return
    }
    // Nobody is signed in by a link: the password is there to be used.
    showPage(ctx, 'done', {
      title: 'Your password is set',
      what: 'Use it the next time an app asks you to sign in. Other devices have been signed out.',
    })
  })

  return router.routes() as unknown as Koa.Middleware
}

function expired(ctx: Koa.Context, purpose: 'setup' | 'set-password'): void {
  showPage(ctx, 'linkExpired', { purpose }, { status: 410 })
}

/** A token is 43 base64url characters; anything else is no token. */
function tokenOf(value: unknown): string {
  return typeof value === 'string' && /^[\w-]{43}$/.test(value) ? value : ''
}
