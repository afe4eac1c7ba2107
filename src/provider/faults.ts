// The engine turns every fault into an answer of its own: a 500, or, at the authorization endpoint, a redirect to the app.
// Neither tells a database outage from a programming error, and the redirect looks like success to whoever must decide
// whether to commit. So the fault itself goes on to the front door.
import type { Middleware } from 'koa'
import type { KoaContextWithOIDC } from 'oidc-provider'

const noted = new WeakMap<object, unknown>()

/** Listener of the engine's `server_error` event. */
export function noteFault(ctx: KoaContextWithOIDC, error: unknown): void {
  noted.set(ctx.req, error)
}

/** @returns middleware for `provider.use` that throws what the engine has caught */
export function throwFaults(): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      // After a fault the library still saves the session; where that fails, too, the first one is the cause.
      throw noted.get(ctx.req) ?? error
    }
    if (noted.has(ctx.req)) throw noted.get(ctx.req)
  }
}
