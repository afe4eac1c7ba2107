// Starts everything, says where it is, and stops it in the right order: readiness first, then connections, then the database.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { connect } from '../db/connect.ts'
import { startLive } from '../db/live.ts'
import { pendingMigrations } from '../db/migrate.ts'
import { type Sweeper, type SweepOutcome, startSweeper } from '../db/sweeper.ts'
import { type Gateway, startGateway } from '../gateway/serve.ts'
import type { Resource } from '../resources/resource.ts'
import type { KeyStep } from '../signing-keys/rotate.ts'
import { startSchedule } from '../signing-keys/schedule.ts'
import type { KeyTimes } from '../signing-keys/times.ts'
import { cleanUpTry } from '../tour/clean-up.ts'
import { createDemoApi, DEMO_ROUTES, demoAudience } from '../tour/demo-api.ts'
import { seedDemo } from '../tour/seed.ts'
import {
  buildRooms,
  createAuthorizer,
  type OpenDatabase,
  openDatabase,
  type Rooms,
  tourParts,
  VERSION,
} from '../wire.ts'
import { announce, describeLanding } from './announce.ts'
import { buildServer } from './build.ts'
import { type Listening, listen } from './listen.ts'
import { createLogger } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createWatchers, type Watchers } from './watchers.ts'

export interface StartOptions {
  readonly config: Config
  /** undefined: on with the embedded database, off with an external one */
  readonly demo?: boolean
  /** takes each line of the announcement */
  readonly say: (line: string) => void
  /** true when a person sits at the terminal */
  readonly terminal: boolean
  /** others than ours are for experiments */
  readonly keyTimes?: KeyTimes
}

export interface Running {
  readonly rooms: Rooms
  /** Drains and stops everything that this process started. May be called twice. */
  stop(): Promise<void>
}

/**
 * Starts the server.
 * @throws OperatorFault for everything an operator can mend; what had been started is stopped again
 */
export async function startServer({ config, demo, say, terminal, keyTimes }: StartOptions): Promise<Running> {
  const log = createLogger(config.logLevel)
  const opened = await openDatabase(config, {
    role: 'server',
    say: (line) => log.warn(line),
    onLost: (error) => log.warn({ err: error }, 'database connection lost'),
  })
  const stops: (() => Promise<void>)[] = [opened.close]
  const stop = async () => {
    for (let next = stops.pop(); next; next = stops.pop()) await next()
  }
  try {
    const live = startLive({
      connection: opened.connection,
      primary: opened.primary,
      clock: () => performance.now(),
      report: (error) => log.warn({ err: error }, 'the database is asked instead of memory until it is back'),
    })
    stops.push(live.stop)
    const rooms = await buildRooms({ config, db: opened.db, log, live, keyTimes })
    const watchers = createWatchers({ clock: () => performance.now() })
    const withDemo = demo ?? opened.embedded !== undefined
    const landing = { describe: () => describeLanding({ config, rooms, demo: withDemo, version: VERSION }) }
    // A process that cannot open the ring of this moment says so: its requests would only be answered by 503.
    const ready = async () => (await isReady(opened, watchers)) && rooms.refreshRing().then(() => true)
    const health = { ready, asked: watchers.asked }
    const metrics = createMetrics({
      version: VERSION,
      pool: opened.pool,
      databaseUp: async () => (await pendingMigrations(opened.probe)) !== undefined,
    })
    const { app } = buildServer({ rooms, log, health, landing, metrics })
    // Before the first request: whoever finds the server ready finds the demo, too.
    if (withDemo) await prepareDemo(config, rooms)
    stops.push(startOwnSweeper(opened, rooms, log, metrics).stop)
    stops.push(rooms.clients.secretUse.start((error) => reportUses(log, error)).stop)
    const listening = await listen(app.callback(), config.port, config.hosts)
    stops.push(() => drain(listening, watchers))
    if (withDemo) stops.push((await startDemoGateway(config, log)).close)
    // After the start, which must not wait for the keys that stand by.
    const { rotation, times } = rooms.signingKeys
    stops.push(startSchedule({ rotation, look: times.look }, (outcome) => reportKeys(log, outcome)).stop)
    await announce({ config, rooms, opened, demo: withDemo, say, terminal, version: VERSION })
    return { rooms, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function prepareDemo(config: Config, rooms: Rooms): Promise<void> {
  const addResource = (resource: Resource) => rooms.resources.add(resource, 'operator')
  await seedDemo({ findResource: rooms.resources.find, addResource }, config.issuer)
  await cleanUpTry(tourParts(rooms))
}

function startDemoGateway(config: Config, log: Logger): Promise<Gateway> {
  return startGateway({
    port: config.gatewayPort,
    hosts: config.hosts,
    routes: DEMO_ROUTES,
    invoke: createAuthorizer(config, demoAudience(config.issuer), DEMO_ROUTES, log),
    backend: createDemoApi(),
    log: ({ time, ...entry }) => log.info(entry, 'gateway'),
  })
}

/** Requests never wait for its connection, nor it for theirs. */
function startOwnSweeper(
  { connection, primary }: OpenDatabase,
  { now }: Rooms,
  log: Logger,
  metrics: Metrics,
): Sweeper {
  const { db, close } = connect(connection, { max: 1, primary })
  const report = (outcome: SweepOutcome) => {
    metrics.swept(outcome)
    logSweep(log, outcome)
  }
  const sweeper = startSweeper({ db, now, report })
  metrics.watchLag(sweeper.lag)
  return {
    ...sweeper,
    async stop() {
      await sweeper.stop()
      await close()
    },
  }
}

function reportUses(log: Logger, error: unknown): void {
  log.warn({ err: error }, 'last uses of client secrets could not be written')
}

function logSweep(log: Logger, outcome: SweepOutcome): void {
  if ('error' in outcome) log.warn({ table: outcome.table, err: outcome.error }, 'expired rows could not be removed')
  else log.debug(outcome, 'expired rows removed')
}

function reportKeys(log: Logger, outcome: KeyStep | { error: unknown }): void {
  if ('error' in outcome) log.warn({ err: outcome.error }, 'signing keys could not be looked after')
  else log.info(outcome, 'signing key')
}

/** Milliseconds in which a load balancer turns away after the last time it saw red. */
const TURNING_AWAY = 200

/** Readiness turns red before anything closes, so that a load balancer has sent its last request. */
async function drain(listening: Listening, watchers: Watchers): Promise<void> {
  watchers.turnRed()
  if (watchers.watching()) {
    listening.shed()
    while (watchers.watching()) await sleep(20)
    await sleep(TURNING_AWAY)
  }
  await listening.close()
}

/** A database that hangs makes this throw within 2 seconds, which is a no. */
async function isReady({ probe }: OpenDatabase, watchers: Watchers): Promise<boolean> {
  if (watchers.red()) return false
  return (await pendingMigrations(probe)).length === 0
}
