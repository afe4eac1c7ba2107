// The pages behind one-time links: the first administrator, and a password for somebody an operator has added.
import Router from '@koa/router'
import type Koa from 'koa'
import type { Caller } from '../http/client-ip.ts'
import type { Csrf } from '../http/csrf.ts'
import { field, readForm } from '../http/form.ts'
import { showPage } from '../http/show-page.ts'
import type { Pages } from '../http/views.ts'
import type { Throttle } from '../throttle/create.ts'
import type { KnownDevices } from '../throttle/known-device.ts'
import { refuseTry } from '../throttle/refuse.ts'
import type { Accounts } from './create.ts'
import { emailKey } from './email.ts'
import { LONGEST_TYPED } from './password.ts'

const SETUP = '/admin/setup'
const SET_PASSWORD = '/set-password'

/**
 * @returns the routes `/admin/setup` and `/set-password`; a GET changes nothing, for mail scanners follow links. A try by a link is
 *   spent before its password is hashed, whatever comes of it.
 */
export function accountRoutes({
  accounts,
  csrf,
  throttle,
  devices,
}: {
  accounts: Accounts
  csrf: Csrf
  throttle: Pick<Throttle, 'setPassword' | 'setUp'>
  devices: Pick<KnownDevices, 'remember'>
}): Koa.Middleware {
  const router = new Router()
  const addressOf = (ctx: Koa.Context) => (ctx.state.caller as Caller).address
  const formFacts = (ctx: Koa.Context, token: string, action: string) => ({
    token,
    csrf: csrf.issue(ctx, token),
    action,
  })
  const readToken = (ctx: Koa.Context) => {
    const token = tokenOf(field(ctx, 'token'))
    csrf.check(ctx, token, field(ctx, 'csrf'))
    return token
  }
  const readPassword = (ctx: Koa.Context) => field(ctx, 'password', LONGEST_TYPED)

  router.get(SETUP, async (ctx) => {
    const token = tokenOf(ctx.query.token)
    if (!(await accounts.inspectAdminLink(token))) return showExpired(ctx, 'setup')
    showPage(ctx, 'setup', formFacts(ctx, token, SETUP))
  })

  router.post(SETUP, readForm(), async (ctx) => {
    const token = readToken(ctx)
    const form = { email: field(ctx, 'email'), name: field(ctx, 'name') }
    const password = readPassword(ctx)
    const attempt = await throttle.setUp({ link: token, address: addressOf(ctx) })
    if (!attempt.ok) {
      return refuseTry(ctx, attempt, (throttled) => {
        showPage(ctx, 'setup', { ...formFacts(ctx, token, SETUP), ...form, throttled }, { status: 429 })
      })
    }
    const use = await accounts.useAdminLink(token, { ...form, password })
    if (use.outcome === 'expired') return showExpired(ctx, 'setup')
    if (use.outcome === 'refused') {
      const page = { ...formFacts(ctx, token, SETUP), ...form, errors: use.faults }
      return showPage(ctx, 'setup', page, { status: 422 })
    }
    await devices.remember(ctx, emailKey(use.account.email))
    showPage(ctx, 'done', {
      title: 'You are the administrator',
      what: `Sign in as ${form.email.trim()} from now on.`,
      next: { label: 'See what is here', url: '/' },
    })
  })

  router.get(SET_PASSWORD, async (ctx) => {
    const token = tokenOf(ctx.query.token)
    const account = await accounts.inspectSetPasswordLink(token)
    if (!account) return showExpired(ctx, 'set-password')
    showPage(ctx, 'setPassword', { ...formFacts(ctx, token, SET_PASSWORD), email: account.email })
  })

  router.post(SET_PASSWORD, readForm(), async (ctx) => {
    const token = readToken(ctx)
    const password = readPassword(ctx)
    const attempt = await throttle.setPassword({ link: token, address: addressOf(ctx) })
    if (!attempt.ok) {
      const account = await accounts.inspectSetPasswordLink(token)
      if (!account) return showExpired(ctx, 'set-password')
      return refuseTry(ctx, attempt, (throttled) => {
        const page = { ...formFacts(ctx, token, SET_PASSWORD), email: account.email, throttled }
        showPage(ctx, 'setPassword', page, { status: 429 })
      })
    }
    const use = await accounts.useSetPasswordLink(token, password)
    if (use.outcome === 'expired') return showExpired(ctx, 'set-password')
    if (use.outcome === 'refused') {
      const email = use.account?.email ?? ''
      const page = { ...formFacts(ctx, token, SET_PASSWORD), email, error: use.faults.password }
      return showPage(ctx, 'setPassword', page, { status: 422 })
    }
    // Nobody is signed in by a link: the password is there to be used, and this browser has tries of its own for it.
    await devices.remember(ctx, emailKey(use.account.email))
    showPage(ctx, 'done', {
      title: 'Your password is set',
      what: 'Use it the next time an app asks you to sign in. Other devices have been signed out.',
    })
  })

  return router.routes() as unknown as Koa.Middleware
}

function showExpired(ctx: Koa.Context, purpose: Pages['linkExpired']['purpose']): void {
  showPage(ctx, 'linkExpired', { purpose }, { status: 410 })
}

/** A token is 43 base64url characters; anything else is no token. */
function tokenOf(value: unknown): string {
  return typeof value === 'string' && /^[\w-]{43}$/.test(value) ? value : ''
}
