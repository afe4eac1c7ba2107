// One process that serves: its rooms, its engine, its port, and what it does beside answering requests.
import type { RequestListener } from 'node:http'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { createDatabaseClock, type DatabaseClock } from '../db/clock.ts'
import { connect } from '../db/connect.ts'
import { startLive } from '../db/live.ts'
import { pendingMigrations } from '../db/migrate.ts'
import { type Sweeper, type SweepOutcome, startSweeper } from '../db/sweeper.ts'
import { trustedProxies } from '../http/trusted-proxies.ts'
import type { JoinedDatabase } from '../open-database.ts'
import type { BoundsParts } from '../port/bounds.ts'
import type { Listening } from '../port/listen.ts'
import type { KeyStep } from '../signing-keys/rotate.ts'
import { startSchedule } from '../signing-keys/schedule.ts'
import type { KeyTimes } from '../signing-keys/times.ts'
import { CLOCK_TOLERANCE } from '../vocabulary/access-token.ts'
import { buildRooms, type Rooms, VERSION } from '../wire.ts'
import { describeLanding } from './announce.ts'
import { buildServer } from './build.ts'
import type { HealthParts } from './health.ts'
import { createMetrics, type Measured, type Metrics } from './metrics.ts'

/** Milliseconds between two lines about addresses with too many connections. */
const SILENT = 60_000

export interface ServeParts {
  readonly config: Config
  readonly database: JoinedDatabase
  readonly log: Logger
  /** whether there is a demo API, which the first page tells of */
  readonly demo: boolean
  readonly keyTimes?: KeyTimes
  /** hears of each question whether this node is ready. @param from the address of the connection */
  readonly asked: HealthParts['asked']
  /** opens the port, or whatever else brings requests @throws OperatorFault when it cannot be opened */
  readonly open: (handler: RequestListener, limits: BoundsParts) => Promise<Listening>
  /** @returns the metrics of all processes as text; left out where there is this one only */
  readonly readMetrics?: () => Promise<string>
  /** Called before the port is opened. */
  readonly prepare?: (rooms: Rooms) => Promise<void>
}

export interface Serving {
  readonly rooms: Rooms
  /** From now on `/readyz` says no. */
  turnRed(): void
  /** From now on every answer ends its connection. */
  shed(): void
  /** @returns the metrics of this process */
  measure(): Promise<Measured>
  /** Takes no new connections, finishes what is under way, and ends everything but the database. May be called twice. */
  stop(): Promise<void>
}

/**
 * Serves.
 * @throws OperatorFault when the port cannot be opened, or GATEHOUSE_SECRET does not open the key ring; nothing is left running
 */
export async function serve({
  config,
  database,
  log,
  demo,
  keyTimes,
  asked,
  open,
  readMetrics,
  prepare,
}: ServeParts): Promise<Serving> {
  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    for (let next = stops.pop(); next; next = stops.pop()) await next()
  }
  let red = false
  try {
    const clock = createDatabaseClock({ clock: () => performance.now() })
    await clock.ask(database.db)
    const live = startLive({
      connection: database.connection,
      primary: database.primary,
      clock: () => performance.now(),
      heard: createClockWatch(log, clock),
      report: (error, what) => log.warn({ err: error }, LIVE_FAULTS[what]),
    })
    stops.push(live.stop)
    const rooms = await buildRooms({ config, db: database.db, log, live, keyTimes, now: clock.now })
    const metrics = createMetrics({
      version: VERSION,
      pool: database.pool,
      databaseUp: () => pendingMigrations(database.probe).then(() => true),
    })
    // A database that hangs makes this throw within 2 seconds, which is a no; so does a key ring of the moment that this process
    // cannot open, because its requests would only be answered by 503.
    const ready = async () => {
      if (red || (await pendingMigrations(database.probe)).length > 0) return false
      await rooms.refreshRing()
      return !red // which it may have turned meanwhile
    }
    const landing = { describe: () => describeLanding({ config, rooms, demo, version: VERSION }) }
    const { app } = buildServer({
      rooms,
      log,
      health: { ready, asked },
      landing,
      metrics: { ...metrics, ...(readMetrics && { read: readMetrics }) },
    })
    metrics.watchClock(clock.ahead)
    await prepare?.(rooms)
    stops.push(startOwnSweeper(database, rooms, log, metrics).stop)
    stops.push(rooms.clients.secretUse.start((error) => reportUses(log, error)).stop)
    const listening = await open(app.callback(), connectionLimits(config, log))
    // After the start, which must not wait for the keys that stand by.
    const { rotation, times } = rooms.signingKeys
    const schedule = startSchedule({ rotation, look: times.look }, (outcome) => reportKeys(log, outcome))
    stops.push(schedule.stop, listening.close)
    return {
      rooms,
      turnRed() {
        red = true
      },
      shed: listening.shed,
      measure: metrics.measure,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function connectionLimits(
  { connectionsPerAddress, ipv6Prefix, trustedProxies: proxies }: Config,
  log: Logger,
): BoundsParts {
  let told = Number.NEGATIVE_INFINITY
  return {
    perAddress: connectionsPerAddress,
    ipv6Prefix,
    isTrusted: trustedProxies(proxies),
    report(from) {
      const now = performance.now()
      if (now - told < SILENT) return
      told = now
      log.warn({ from, most: connectionsPerAddress }, 'an address has too many connections: the longest idle are cut')
    },
  }
}

const LIVE_FAULTS = {
  connection: 'the database is asked instead of memory until it is back',
  listener: 'what changed could not be taken over',
}

/** Requests never wait for its connection, nor it for theirs. */
function startOwnSweeper(
  { connection, primary }: JoinedDatabase,
  { now }: Rooms,
  log: Logger,
  metrics: Metrics,
): Sweeper {
  const { db, close } = connect(connection, { max: 1, primary })
  // A clock that is wrong must not remove what lives: what goes is over by the database's and by ours.
  const over = () => new Date(Math.min(now().getTime(), Date.now()))
  const report = (outcome: SweepOutcome) => {
    metrics.swept(outcome)
    logSweep(log, outcome)
  }
  const sweeper = startSweeper({ db, now: over, report })
  metrics.watchLag(sweeper.lag)
  return {
    ...sweeper,
    async stop() {
      await sweeper.stop()
      await close()
    },
  }
}

/** @returns what takes the database's answers, and says it when this machine's clock begins to differ, and when it does no more */
function createClockWatch(log: Logger, clock: DatabaseClock): DatabaseClock['heard'] {
  let told = false
  return (...answer) => {
    clock.heard(...answer)
    const ahead = clock.ahead()
    const differs = Math.abs(ahead) > CLOCK_TOLERANCE
    if (differs === told) return
    told = differs
    if (differs) log.error({ ahead }, 'the clocks of this machine and of the database differ: set the wrong one right')
    else log.warn({ ahead }, 'the clocks of this machine and of the database agree again')
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
