// Puts the engine, the pages and the front door together from the rooms.
import type Koa from 'koa'
import type { Logger } from 'pino'
import { accountRoutes } from '../accounts/routes.ts'
import { createCsrf } from '../http/csrf.ts'
import { interactionRoutes } from '../interactions/routes.ts'
import { createEngine, type Engine } from '../provider/create.ts'
import { LIFETIMES, type ProviderParts } from '../provider/parts.ts'
import { createKnownDevices } from '../throttle/known-device.ts'
import type { Rooms } from '../wire.ts'
import { createApp } from './app.ts'
import { freshKeys } from './fresh-keys.ts'
import type { HealthParts } from './health.ts'
import type { LandingParts } from './landing.ts'
import type { Metrics } from './metrics.ts'

export interface Built {
  readonly app: Koa
  readonly engine: Engine
}

/**
 * @param parts `health` says whether this node should get requests
 */
export function buildServer({
  rooms,
  log,
  health,
  landing,
  metrics,
}: {
  rooms: Rooms
  log: Logger
  health: HealthParts
  landing: LandingParts
  metrics: Metrics
}): Built {
  const { config, ring, unit, audit, throttle } = rooms
  const secure = config.issuer.startsWith('https:')
  const csrf = createCsrf({ origin: config.issuer, secure, hmacs: (value) => ring.handles('form', value) })
  const devices = createKnownDevices({
    secure,
    hmacs: (value) => ring.handles('device', value),
    epochOf: rooms.accounts.epochOf,
  })
  const engine = createEngine(engineParts(rooms))
  rooms.signingKeys.onSwap(() => engine.rebuild(engineParts(rooms)))
  const app = createApp({
    issuer: config.issuer,
    trustedProxies: config.trustedProxies,
    cookieSigner: rooms.cookieSigner,
    refreshRing: rooms.refreshRing,
    log,
    unit,
    health,
    landing,
    metrics,
    metricsToken: config.metricsToken,
    accountRoutes: accountRoutes({ accounts: rooms.accounts, csrf, throttle, devices }),
    interactionRoutes: interactionRoutes({
      findClient: rooms.clients.find,
      findResource: rooms.resources.find,
      findAccount: rooms.accounts.find,
      issuer: config.issuer,
      provider: engine.provider,
      csrf,
      throttle,
      devices,
      lifetimes: { session: LIFETIMES.sessionAbsolute, refresh: LIFETIMES.refreshAbsolute },
      audit,
      abandon: unit.abandon,
      sessions: rooms.sessions.sessions,
      interactions: rooms.sessions.interactions,
      consents: rooms.sessions.consents,
      authenticate: rooms.accounts.authenticate,
    }),
    freshKeys: freshKeys(rooms.signingKeys.refresh),
    engine,
  })
  return { app, engine }
}

/** @returns what an engine is built from, with the signing keys that are held now */
export function engineParts(rooms: Rooms): ProviderParts {
  const { config, ring, unit, audit, now, signingKeys, tokens, sessions } = rooms
  return {
    ...rooms.atHand,
    findAccount: rooms.accounts.find,
    issuer: config.issuer,
    privateAddresses: config.profile === 'test',
    clientStands: rooms.clients.stands,
    ring,
    cookieSigner: rooms.cookieSigner,
    audit,
    abandon: unit.abandon,
    now,
    signingKeys: signingKeys.held(),
    tokens,
    sessions,
  }
}
