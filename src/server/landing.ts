// The page at `/`: what this is, its addresses, and commands to try.
import type Koa from 'koa'
import { showPage } from '../http/show-page.ts'
import type { Pages } from '../http/views.ts'

export interface LandingParts {
  readonly describe: () => Promise<Pages['landing']>
}

/** @returns middleware for `/` and `/robots.txt` */
export function landing({ describe }: LandingParts): Koa.Middleware {
  return async (ctx, next) => {
    if (ctx.path === '/robots.txt') {
      ctx.type = 'text'
      ctx.body = 'User-agent: *\nDisallow: /\n'
      return
    }
    if (ctx.path !== '/') return next()
    showPage(ctx, 'landing', await describe())
  }
}
