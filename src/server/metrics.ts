// What this process counts and measures, in Prometheus' words. Labels come from closed lists: nothing that a caller sent, no
// id and no secret, becomes one.
import type Koa from 'koa'
import type pg from 'pg'
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValueWithName,
  Registry,
} from 'prom-client'
import type { SweepOutcome } from '../db/sweeper.ts'
import { within } from '../db/within.ts'

export interface MetricsParts {
  readonly version: string
  readonly pool: Pick<pg.Pool, 'totalCount' | 'idleCount' | 'waitingCount'>
  /** whether the database answers; it may throw instead of no */
  readonly databaseUp: () => Promise<boolean>
}

/** What one process has counted and measured. Each says how it is to be put together with that of others. */
export type Measured = readonly (Omit<MetricObjectWithValues<MetricValueWithName<string>>, 'type'> & {
  readonly type: string
})[]

export interface Metrics {
  /** middleware that counts every request with its time */
  readonly count: Koa.Middleware
  /** Takes what the sweeper reports. */
  swept(outcome: SweepOutcome): void
  /** @param ahead seconds by which this machine's clock is ahead of the database's, asked whenever the metrics are read */
  watchClock(ahead: () => number): void
  /** @param lag seconds by table, asked whenever the metrics are read */
  watchLag(lag: () => Readonly<Record<string, number>>): void
  /** @returns everything as text (Prometheus exposition format 0.0.4) */
  read(): Promise<string>
  /** @returns the same for whoever puts several processes together */
  measure(): Promise<Measured>
  readonly contentType: string
}

/** Addresses by their first segment, which is all that is told of them. */
const ROUTES = new Set(
  `.well-known admin assets authorize healthz interaction introspect jwks logout metrics par readyz revoke set-password token
  userinfo`.split(/\s+/),
)

/** Of several processes the worst counts; the average of percentiles is nothing. */
const WORST = ['', '_mean', '_stddev', '_p50', '_p90', '_p99'].map((what) => `nodejs_eventloop_lag${what}_seconds`)

const DATABASE_ANSWERS_WITHIN = 1000

/** @returns counters and gauges of one process */
export function createMetrics({ version, pool, databaseUp }: MetricsParts): Metrics {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register })
  for (const name of WORST) Object.assign(register.getSingleMetric(name) ?? {}, { aggregator: 'max' })

  const requests = new Histogram({
    name: 'gatehouse_http_request_duration_seconds',
    help: 'Requests by the first segment of their address and by the class of the answer, with the time each took',
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  })
  const removed = new Counter({
    name: 'gatehouse_sweep_removed_rows_total',
    help: 'Rows removed because their time was over',
    labelNames: ['table'],
    registers,
  })
  const failed = new Counter({
    name: 'gatehouse_sweep_errors_total',
    help: 'Batches of expired rows that could not be removed',
    labelNames: ['table'],
    registers,
  })
  const batches = new Histogram({
    name: 'gatehouse_sweep_batch_duration_seconds',
    help: 'How long removing one batch took',
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1],
    registers,
  })
  let lag: () => Readonly<Record<string, number>> = () => ({})
  new Gauge({
    name: 'gatehouse_sweep_lag_seconds',
    help: 'For how long the oldest row of a table has been there that should be gone',
    labelNames: ['table'],
    aggregator: 'max',
    registers,
    collect() {
      for (const [table, seconds] of Object.entries(lag())) this.set({ table }, seconds)
    },
  })
  let ahead: (() => number) | undefined
  new Gauge({
    name: 'gatehouse_clock_ahead_seconds',
    help: "How far this machine's clock is ahead of the database's",
    aggregator: 'max',
    registers,
    collect() {
      if (ahead) this.set(ahead())
    },
  })
  new Gauge({
    name: 'gatehouse_database_connections',
    help: 'Connections of the pool, in use and idle',
    labelNames: ['state'],
    registers,
    collect() {
      this.set({ state: 'used' }, pool.totalCount - pool.idleCount)
      this.set({ state: 'idle' }, pool.idleCount)
    },
  })
  new Gauge({
    name: 'gatehouse_database_waiting',
    help: 'Requests that wait for a connection of the pool',
    registers,
    collect() {
      this.set(pool.waitingCount)
    },
  })
  // After the pool's, which would see this question among those that wait.
  new Gauge({
    name: 'gatehouse_database_up',
    help: 'Whether the database answers',
    aggregator: 'min',
    registers,
    async collect() {
      const up = await within(DATABASE_ANSWERS_WITHIN, databaseUp()).catch(() => false)
      this.set(up ? 1 : 0)
    },
  })
  new Gauge({
    name: 'gatehouse_processes',
    help: 'Processes that serve and told of themselves',
    registers,
  }).set(1)
  new Gauge({
    name: 'gatehouse_info',
    help: 'The version that runs',
    labelNames: ['version'],
    aggregator: 'max',
    registers,
  }).set({ version }, 1)

  return {
    async count(ctx, next) {
      const stop = requests.startTimer()
      await next()
      stop({ route: routeOf(ctx.path), status: `${Math.floor(ctx.status / 100)}xx` })
    },

    swept(outcome) {
      const { table } = outcome
      if ('error' in outcome) return failed.inc({ table })
      removed.inc({ table }, outcome.removed)
      batches.observe(outcome.milliseconds / 1000)
    },

    watchClock(from) {
      ahead = from
    },

    watchLag(from) {
      lag = from
    },

    read: () => register.metrics(),
    measure: () => register.getMetricsAsJSON() as Promise<unknown> as Promise<Measured>,
    contentType: register.contentType,
  }
}

function routeOf(path: string): string {
  const first = path.split('/')[1] ?? ''
  return first === '' || ROUTES.has(first) ? `/${first}` : 'other'
}
