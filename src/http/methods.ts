// Which methods each endpoint takes. The library answers 404 for the others; a caller deserves to hear that the address is
// right and the method is not.
import type Koa from 'koa'
import { Problem } from './problem.ts'

const METHODS: readonly [RegExp, readonly string[]][] = [
  [/^\/(\.well-known\/(openid-configuration|oauth-authorization-server)|jwks)$/, ['GET', 'HEAD', 'OPTIONS']],
  [/^\/(token|introspect|revoke)$/, ['POST', 'OPTIONS']],
  [/^\/userinfo$/, ['GET', 'HEAD', 'POST', 'OPTIONS']],
  [/^\/authorize(\/[^/]+)?$/, ['GET', 'HEAD']],
  [/^\/logout(\/success)?$/, ['GET', 'HEAD']],
  [/^\/logout\/confirm$/, ['POST']],
  [/^\/interaction\/[^/]+(\/switch)?$/, ['GET', 'HEAD', 'POST']],
  [/^\/(admin\/setup|set-password)$/, ['GET', 'HEAD', 'POST']],
  [/^\/$/, ['GET', 'HEAD']],
]

/** @returns middleware that answers 405 with `Allow` */
export function methods(): Koa.Middleware {
  return (ctx, next) => {
    const allowed = METHODS.find(([path]) => path.test(ctx.path))?.[1]
    if (allowed && !allowed.includes(ctx.method)) {
      throw new Problem(405, 'method_not_allowed', `Use ${allowed[0]} for this address.`, {
        headers: { Allow: allowed.join(', ') },
      })
    }
    return next()
  }
}
