// The front door: every door in the order in which a request passes them.
import Koa from 'koa'
import type { Logger } from 'pino'
import { asRequest } from '../db/pulse.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { answerErrors } from '../http/answer-errors.ts'
import { assets } from '../http/assets.ts'
import { createCallerReader } from '../http/client-ip.ts'
import type { CookieSigner } from '../http/cookie-signer.ts'
import { methods } from '../http/methods.ts'
import { pinOrigin } from '../http/pin-origin.ts'
import { requestId } from '../http/request-id.ts'
import { wellFormed } from '../http/well-formed.ts'
import { PUBLIC_PATHS } from '../provider/cache-headers.ts'
import type { Engine } from '../provider/create.ts'
import { commit } from './commit.ts'
import { type HealthParts, health } from './health.ts'
import { type LandingParts, landing } from './landing.ts'
import { logRequests, reportProblem } from './log.ts'
import type { Metrics } from './metrics.ts'
import { metricsDoor } from './metrics-door.ts'

export interface AppParts {
  readonly issuer: string
  readonly trustedProxies: readonly string[]
  readonly cookieSigner: CookieSigner
  /** see that this process knows the newest keys */
  readonly refreshRing: () => Promise<void>
  readonly log: Logger
  readonly unit: UnitOfWork
  readonly health: HealthParts
  readonly metrics: Metrics
  readonly metricsToken?: string
  readonly landing: LandingParts
  readonly accountRoutes: Koa.Middleware
  readonly interactionRoutes: Koa.Middleware
  /** sees to it that the engine has the keys of now */
  readonly freshKeys: Koa.Middleware
  readonly engine: Engine
}

/** @returns the outer application; the engine comes last, behind its holder */
export function createApp(parts: AppParts): Koa {
  const app = new Koa()
  app.keys = parts.cookieSigner
  speakSchemeOf(parts.issuer, app)
  const readCaller = createCallerReader(parts.trustedProxies)
  app.use((_ctx, next) => asRequest(next))
  app.use(requestId())
  app.use((ctx, next) => {
    ctx.state.caller = readCaller(ctx.req)
    return next()
  })
  app.use(logRequests(parts.log))
  app.use(parts.metrics.count)
  app.use(answerErrors(reportProblem(parts.log)))
  app.use(wellFormed())
  app.use(health(parts.health)) // asked by address, so before the origin is pinned
  app.use(metricsDoor({ metrics: parts.metrics, token: parts.metricsToken }))
  app.use(pinOrigin(parts.issuer)) // a foreign Host goes no further
  app.use(methods())
  app.use(assets())
  app.use(landing(parts.landing))
  // Keys that another process may use already; what everybody may keep needs none, and is not to wait for a database.
  app.use((ctx, next) => (PUBLIC_PATHS.has(ctx.path) ? next() : parts.refreshRing().then(next)))
  app.use(commit(parts.unit)) // one transaction per request, opened at the first write
  app.use(parts.accountRoutes)
  app.use(parts.interactionRoutes)
  app.use(parts.freshKeys)
  app.use(parts.engine.run) // the library's /authorize, /token, /jwks, …
  app.on('error', (error: unknown) => parts.log.error({ err: error }, 'answer failed'))
  return app
}

/** Whether cookies are secure is decided by the issuer, not by how the last proxy happens to reach us. */
function speakSchemeOf(issuer: string, app: Koa): void {
  const protocol = new URL(issuer).protocol.slice(0, -1)
  Object.defineProperty(app.request, 'protocol', { get: () => protocol })
}
