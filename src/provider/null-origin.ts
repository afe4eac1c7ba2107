// A page without an origin of its own (a file, a sandboxed frame, `data:`) says `Origin: null`, and so may any attacker's. The
// library refuses it once it knows the client; before that, in a preflight and in early errors, it would echo it.
import type { Middleware } from 'koa'
import { PUBLIC_PATHS } from './cache-headers.ts'

/** @returns middleware for `provider.use`: metadata and keys are for everybody, nothing else is for `null` */
export function nullOrigin(): Middleware {
  return async (ctx, next) => {
    await next()
    if (ctx.get('Origin') !== 'null' || PUBLIC_PATHS.has(ctx.path)) return
    const granted = Object.keys(ctx.response.headers).filter((name) => /^access-control-/i.test(name))
    for (const name of granted) ctx.remove(name)
  }
}
