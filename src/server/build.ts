// Puts the engine, the pages and the front door together from the rooms.
import type Koa from 'koa'
import type { Logger } from 'pino'
import { accountRoutes } from '../accounts/routes.ts'
import { createCsrf } from '../http/csrf.ts'
import { interactionRoutes } from '../interactions/routes.ts'
import { createEngine, type Engine } from '../provider/create.ts'
import type { Rooms } from '../wire.ts'
import { createApp } from './app.ts'
import type { LandingParts } from './landing.ts'

export interface Built {
  readonly app: Koa
  readonly engine: Engine
}

/**
 * @param parts `ready` says whether this node should get requests
 */
export function buildServer({
  rooms,
  log,
  ready,
  landing,
}: {
  rooms: Rooms
  log: Logger
  ready: () => Promise<boolean>
  landing: LandingParts
}): Built {
  const { config, ring, unit, audit, now } = rooms
  const secure = config.issuer.startsWith('https:')
  const csrf = createCsrf({ origin: config.issuer, secure, hmac: (value) => ring.keyedHash('form', value) })
  const finders = {
    findClient: rooms.clients.find,
    findResource: rooms.resources.find,
    findAccount: rooms.accounts.find,
  }
  const engine = createEngine({
    ...finders,
    issuer: config.issuer,
    ring,
    signingKeys: rooms.signingKeys,
    now,
    privateAddresses: config.profile === 'test',
    audit,
    verifySecret: rooms.clients.verifySecret,
    tokens: rooms.tokens,
    sessions: rooms.sessions,
  })
  const app = createApp({
    issuer: config.issuer,
    trustedProxies: config.trustedProxies,
    cookieKeys: ring.cookieKeys,
    log,
    unit,
    health: { ready },
    landing,
    accountRoutes: accountRoutes({ accounts: rooms.accounts, csrf }),
    interactionRoutes: interactionRoutes({
      ...finders,
      issuer: config.issuer,
      provider: engine.provider,
      unit,
      csrf,
      audit,
      interactions: rooms.sessions.interactions,
      consents: rooms.sessions.consents,
      authenticate: rooms.accounts.authenticate,
    }),
    engine,
  })
  return { app, engine }
}
