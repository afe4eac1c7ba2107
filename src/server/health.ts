// Alive, and ready: two questions of load balancers, answered without detail.
import type Koa from 'koa'

export interface HealthParts {
  /** @returns whether this node should get requests: it is not draining, its database answers and is up to date */
  readonly ready: () => Promise<boolean>
  /** hears of each question whether it is ready. @param from the address of the connection */
  readonly asked?: (from: string) => void
}

/** @returns middleware for `/healthz` and `/readyz` */
export function health({ ready, asked }: HealthParts): Koa.Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/healthz' && ctx.path !== '/readyz') return next()
    if (ctx.path === '/readyz') asked?.(ctx.req.socket.remoteAddress ?? '')
    const good = ctx.path === '/healthz' || (await ready().catch(() => false))
    ctx.status = good ? 200 : 503
    ctx.set('Cache-Control', 'no-store')
    ctx.body = { status: good ? 'ok' : 'unavailable' }
  }
}
