// No request reaches the engine with signing keys that are older than the bound. A look costs nothing while changes are heard of.
import { setTimeout as sleep } from 'node:timers/promises'
import type Koa from 'koa'
import { PUBLIC_PATHS } from '../provider/cache-headers.ts'

/** Whoever asks for the key set gets what is held when the database takes longer than this. Milliseconds. */
const KEY_SET_WITHIN = 250

/**
 * @param refresh resolves when the keys at hand are those of now
 * @returns middleware that stands before the engine; a look that fails is thrown, except for what everybody may keep anyway
 */
export function freshKeys(refresh: () => Promise<void>): Koa.Middleware {
  return async (ctx, next) => {
    const fresh = refresh()
    if (PUBLIC_PATHS.has(ctx.path))
      await Promise.race([fresh.catch(() => undefined), sleep(KEY_SET_WITHIN, undefined, { ref: false })])
    else await fresh
    return next()
  }
}
