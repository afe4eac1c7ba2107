// Every request has an id that its log lines, audit entries and error pages carry.
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import type Koa from 'koa'

const storage = new AsyncLocalStorage<string>()

/** @returns the id of the request at hand, or undefined outside of one */
export function currentRequestId(): string | undefined {
  return storage.getStore()
}

/**
 * Middleware: gives the request an id of ours. An id from outside is not taken over: it could be chosen to confuse the log.
 */
export function requestId(): Koa.Middleware {
  return (ctx, next) => {
    const id = randomBytes(9).toString('base64url')
    ctx.state.requestId = id
    ctx.set('X-Request-Id', id)
    return storage.run(id, next)
  }
}
