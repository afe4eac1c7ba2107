// Refusals of the endpoints for programs, where the standards name another error than the library does.
import type { Middleware } from 'koa'

const PROGRAMS = new Set(['/token', '/introspect', '/revoke'])

// What the library says of an Authorization header that it cannot read.
const UNREADABLE = /authorization header/i

/** @returns middleware for `provider.use` */
export function refusals(issuer: string): Middleware {
  return async (ctx, next) => {
    if (!PROGRAMS.has(ctx.path)) return next()
    // Errors are JSON (RFC 6749 section 5.2), also for a program that says like a browser that it prefers HTML.
    if (ctx.accepts('json', 'html') === 'html') ctx.req.headers.accept = 'application/json'
    await next()
    const refusal = ctx.body as { error?: string; error_description?: string } | undefined
    if (refusal?.error !== 'invalid_request') return
    const why = refusal.error_description ?? ''
    if (why.startsWith('code_verifier ')) {
      // One that is too short is as wrong as any other (RFC 7636 section 4.6).
      ctx.body = { ...refusal, error: 'invalid_grant' }
    } else if (UNREADABLE.test(why)) {
      // Whoever tries to authenticate by this header hears 401 and which scheme to use.
      ctx.status = 401
      ctx.set('WWW-Authenticate', `Basic realm="${issuer}", error="invalid_client"`)
      ctx.body = { ...refusal, error: 'invalid_client' }
    }
  }
}
