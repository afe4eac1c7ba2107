// Refusals of the endpoints for programs, where the standards name another error than the library does.
import type { Middleware } from 'koa'

const PROGRAMS = new Set(['/token', '/par', '/introspect', '/revoke'])

/** What the library calls `invalid_request`, by its words, and what the standards call it. */
const RENAMED: readonly [RegExp, string][] = [
  // One that is too short is as wrong as any other (RFC 7636 section 4.6).
  [/^code_verifier /, 'invalid_grant'],
  [/^requested grant type is not allowed for this client$/, 'unauthorized_client'], // RFC 6749 section 5.2
  // Whoever tries to authenticate by this header hears 401 and which scheme to use (the same section).
  [/authorization header/i, 'invalid_client'],
]

/** @returns middleware for `provider.use` */
export function refusals(issuer: string): Middleware {
  return async (ctx, next) => {
    if (!PROGRAMS.has(ctx.path)) return next()
    // Errors are JSON, also for a program that says like a browser that it prefers HTML.
    if (ctx.accepts('json', 'html') === 'html') ctx.req.headers.accept = 'application/json'
    await next()
    const refusal = ctx.body as { error?: string; error_description?: string } | undefined
    if (refusal?.error !== 'invalid_request') return
    const error = RENAMED.find(([words]) => words.test(refusal.error_description ?? ''))?.[1]
    if (!error) return
    ctx.body = { ...refusal, error }
    if (error !== 'invalid_client') return
    ctx.status = 401
    ctx.set('WWW-Authenticate', `Basic realm="${issuer}", error="${error}"`)
  }
}
