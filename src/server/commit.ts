// One request, one unit of work: committed before the answer leaves, so that nothing is acknowledged that is not stored.
import type Koa from 'koa'
import type { UnitOfWork } from '../db/unit-of-work.ts'

/**
 * @returns middleware that commits what was granted, and rolls back on a 5xx or a throw. What a refusal wrote stays (a replay
 *   ends what came of the first use), unless it was said to hold only if the request is granted
 */
export function commit(unit: UnitOfWork): Koa.Middleware {
  return (ctx, next) => unit.run(next, () => (ctx.status < 400 ? 'commit' : ctx.status < 500 ? 'refuse' : 'roll back'))
}
