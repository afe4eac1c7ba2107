// How long others may keep what the engine publishes: keys and metadata for a short, stated time,
// answers to a caller not at all.
import type { Middleware } from 'koa'
import { LIFETIMES } from './parts.ts'

/** What everybody may read and keep. */
export const PUBLIC_PATHS = new Set([
  '/jwks',
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
])

/** @returns middleware for `provider.use` */
export function cacheHeaders(): Middleware {
  return async (ctx, next) => {
    await next()
    if (ctx.path === '/revoke') ctx.set('Cache-Control', 'no-store') // the library says so everywhere but here
    if (PUBLIC_PATHS.has(ctx.path) && ctx.status === 200)
      ctx.set('Cache-Control', `public, max-age=${LIFETIMES.jwksCache}`)
  }
}
