// Starts everything, says where it is, and stops it in the right order: readiness first, then connections, then the database.

import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { createDatabaseClock } from '../db/clock.ts'
import { type Gateway, startGateway } from '../gateway/serve.ts'
import { type OpenDatabase, openDatabase } from '../open-database.ts'
import { listen } from '../port/listen.ts'
import type { Resource } from '../resources/resource.ts'
import type { KeyTimes } from '../signing-keys/times.ts'
import { cleanUpTry } from '../tour/clean-up.ts'
import { createDemoApi, DEMO_ROUTES, demoAudience } from '../tour/demo-api.ts'
import { seedDemo } from '../tour/seed.ts'
import { buildRooms, type Rooms, VERSION } from '../wire.ts'
import { createAuthorizer, tourParts } from '../wire-tour.ts'
import { announce } from './announce.ts'
import { createLogger } from './log.ts'
import { type ServeParts, serve } from './serve.ts'
import { turnAway } from './turn-away.ts'
import { createWatchers } from './watchers.ts'
import { startWorkers } from './workers.ts'

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
export async function startServer(options: StartOptions): Promise<Running> {
  const { config, say, terminal } = options
  const log = createLogger(config.logLevel)
  const database = await openDatabase(config, {
    role: 'server',
    say: (line) => log.warn(line),
    onLost: (error) => log.warn({ err: error }, 'database connection lost'),
  })
  let end: (() => Promise<void>) | undefined
  let gateway: Gateway | undefined
  const stopAll = async () => {
    try {
      // The server before its gateway: nobody is to wait for readiness to turn red.
      await end?.()
      await gateway?.close()
    } finally {
      await database.close()
    }
  }
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= stopAll()
    return stopped
  }
  try {
    const demo = options.demo ?? database.embedded !== undefined
    const parts = { options, database, log, demo }
    const serving = await (config.workers === 1 ? serveAlone(parts) : serveTogether(parts))
    end = serving.end
    if (demo) gateway = await startDemoGateway(config, log)
    const { rooms } = serving
    await announce({ config, rooms, opened: database, demo, say, terminal, version: VERSION })
    return { rooms, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface ServingParts {
  readonly options: StartOptions
  readonly database: OpenDatabase
  readonly log: Logger
  readonly demo: boolean
}

/** In this process. */
async function serveAlone({ options: { config, keyTimes }, database, log, demo }: ServingParts) {
  const watchers = createWatchers({ clock: () => performance.now() })
  // Before the first request: whoever finds the server ready finds the demo, too.
  const prepare = async (rooms: Rooms) => (demo ? prepareDemo(config, rooms) : undefined)
  const open: ServeParts['open'] = (handler, limits) => listen(handler, config.port, config.hosts, limits)
  const serving = await serve({ config, database, log, demo, keyTimes, asked: watchers.asked, open, prepare })
  const end = async () => {
    await turnAway(watchers, serving)
    await serving.stop()
  }
  return { rooms: serving.rooms, end }
}

/** In processes of their own, for all of which this one keeps the database. */
async function serveTogether({ options: { config }, database, log, demo }: ServingParts) {
  const clock = createDatabaseClock({ clock: () => performance.now() })
  await clock.ask(database.db)
  const rooms = await buildRooms({ config, db: database.db, log, now: clock.now })
  if (demo) await prepareDemo(config, rooms)
  const { connection, place } = database
  const first = { order: 'serve', connection, place, demo } as const
  const { workers: count, port, hosts } = config
  const workers = await startWorkers({ count, port, hosts, first, log, clock: () => performance.now() })
  return { rooms, end: workers.stop }
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
