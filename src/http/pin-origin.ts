// One public origin: a request for any other host, or over plain http where the issuer is https, goes no further. Addresses
// that the library builds would otherwise follow the Host header.
import type Koa from 'koa'
import type { Caller } from './client-ip.ts'
import { Problem } from './problem.ts'

/**
 * @param issuer the public URL
 * @returns middleware; 421 for a foreign host, and for plain http a redirect of pages and 403 for everything else
 */
export function pinOrigin(issuer: string): Koa.Middleware {
  const { host, port, protocol, origin } = new URL(issuer)
  const secure = protocol === 'https:'
  // Some clients name the default port.
  const hosts = [host, ...(port === '' ? [`${host}:${secure ? 443 : 80}`] : [])]
  return async (ctx, next) => {
    const caller = ctx.state.caller as Caller
    // An absolute-form target names a host of its own, which nothing here may ever read.
    if (!hosts.includes(caller.host) || !ctx.req.url?.startsWith('/')) {
      throw new Problem(421, 'misdirected_request', `This server answers for ${origin} only. Use that address.`)
    }
    if (secure && caller.protocol !== 'https') {
      if (ctx.method === 'GET' || ctx.method === 'HEAD') {
        ctx.redirect(`${origin}${ctx.req.url}`)
        ctx.status = 308
        return
      }
      throw new Problem(
        403,
        'https_required',
        `Use ${origin}. If a proxy ends TLS here, list it in GATEHOUSE_TRUSTED_PROXIES.`,
      )
    }
    if (secure) ctx.set('Strict-Transport-Security', 'max-age=31536000')
    await next()
  }
}
