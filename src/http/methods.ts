// Which methods each endpoint takes, and that each has one address. For the wrong method the library answers 404; a caller
// deserves to hear that the address is right and the method is not. For `/TOKEN/` it answers like for `/token`, past
// everything that goes by the path: methods, cache headers, rules of proxies.
import type Koa from 'koa'
import { Problem } from './problem.ts'

const METHODS: readonly [RegExp, readonly string[]][] = [
  [/^\/(\.well-known\/(openid-configuration|oauth-authorization-server)|jwks)$/, ['GET', 'HEAD', 'OPTIONS']],
  [/^\/(token|par|introspect|revoke)$/, ['POST', 'OPTIONS']],
  [/^\/userinfo$/, ['GET', 'HEAD', 'POST', 'OPTIONS']],
  [/^\/authorize(\/[^/]+)?$/, ['GET', 'HEAD']],
  [/^\/logout(\/success)?$/, ['GET', 'HEAD']],
  [/^\/logout\/confirm$/, ['POST']],
  [/^\/interaction\/[^/]+(\/switch)?$/, ['GET', 'HEAD', 'POST']],
  [/^\/(admin\/setup|set-password)$/, ['GET', 'HEAD', 'POST']],
  [/^\/$/, ['GET', 'HEAD']],
]

const methodsOf = (path: string) => METHODS.find(([pattern]) => pattern.test(path))?.[1]

/** @returns middleware that answers 405 with `Allow`, and 404 for an endpoint's address in another spelling */
export function methods(): Koa.Middleware {
  return (ctx, next) => {
    const allowed = methodsOf(ctx.path)
    if (!allowed && methodsOf(ctx.path.toLowerCase().replace(/\/$/, ''))) {
      throw new Problem(404, 'not_found', 'Nothing is at this address.')
    }
    if (allowed && !allowed.includes(ctx.method)) {
      throw new Problem(405, 'method_not_allowed', `Use ${allowed[0]} for this address.`, {
        headers: { Allow: allowed.join(', ') },
      })
    }
    return next()
  }
}
