// One request, one unit of work: committed before the answer leaves, so that nothing is acknowledged that is not stored.
import type Koa from 'koa'
import type { UnitOfWork } from '../db/unit-of-work.ts'

/**
 * @returns middleware that commits when the answer is below 500 (a refused replay must keep its revocation) and rolls back
 *   when it is not, or when something was thrown
 */
export function commit(unit: UnitOfWork): Koa.Middleware {
  return (ctx, next) => unit.run(next, () => (ctx.status < 500 ? 'commit' : 'roll back'))
}
