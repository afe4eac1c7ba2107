// The connection pool, and Kysely over it.
import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, PostgresDialect, type PostgresPoolClient, sql } from 'kysely'
import pg from 'pg'
import { OperatorFault } from '../vocabulary/fault.ts'
import { guard } from './guard.ts'
import { outage } from './outage.ts'
import { PATIENCE, type Patience } from './patience.ts'
import { createPrimaryWatch, type PrimaryWatch } from './primary.ts'
import { createPulse, type Pulse, waitedFor } from './pulse.ts'
import type { Schema } from './schema.ts'
import type { Db } from './unit-of-work.ts'
import { within } from './within.ts'

/** The oldest PostgreSQL major version we test against. */
const POSTGRES_FLOOR = 15

/** A DATABASE_URL, or the socket of the embedded server. */
export type Connection = string | { host: string; port: number; user: string; database: string }

export interface Connected {
  readonly db: Db
  /** for its counts; queries on it have no bounds */
  readonly pool: pg.Pool
  close(): Promise<void>
}

export interface ConnectOptions {
  /** connections, at most */
  readonly max?: number
  /** how long to wait for the database */
  readonly patience?: keyof typeof PATIENCE
  /** what the pools of a process have seen together */
  readonly primary?: PrimaryWatch
  /** hears of idle connections that broke (a server restart must not end the process) */
  readonly onLost?: (error: Error) => void
}

/** Opens the pool; connections are made when first used, and only a primary of the newest timeline is. */
export function connect(connection: Connection, options: ConnectOptions = {}): Connected {
  const patience = PATIENCE[options.patience ?? 'work']
  const primary = options.primary ?? createPrimaryWatch()
  const pool = new pg.Pool({
    ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    max: options.max ?? 10,
    application_name: 'gatehouse',
    // One that comes too late for who asked for it is there for the next.
    connectionTimeoutMillis: Math.max(patience.queue, 2 * patience.connection),
    // What a rush needed is given back soon: others may share the server.
    idleTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...patience.server,
    onConnect: (client) => within(patience.connection, primary.check(client)),
  })
  // The pool listens for idle connections only. One that breaks while somebody holds it fails the query at hand; its own
  // `error` event, unheard, would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined))
  pool.on('error', (error) => options.onLost?.(error))
  const waiting = { pool, most: pool.options.max, primary, patience, pulse: createPulse() }
  const guarded = {
    options: pool.options,
    connect: () => acquire(waiting),
    end: () => pool.end(),
  }
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: guarded }) })
  return { db, pool, close: () => db.destroy() }
}

/** Milliseconds until a server that is full is asked again. */
const AGAIN = 50

interface Waiting {
  readonly pool: pg.Pool
  /** connections, when the server has as many */
  readonly most: number
  readonly primary: PrimaryWatch
  readonly patience: Patience
  readonly pulse: Pulse
}

async function acquire(waiting: Waiting): Promise<PostgresPoolClient> {
  const { pool, primary, patience, pulse } = waiting
  const begun = performance.now()
  const done = pulse.wait()
  const waited = () => performance.now() - begun
  const left = () => Math.min(patience.connection - pulse.silence(begun), patience.queue - waited())
  for (;;) {
    try {
      const first = Math.max(patience.least, left())
      const client = await within(first, pool.connect(), { more: left, onLate: (late) => late.release() })
      if (primary.isCurrent(client)) {
        done('nothing')
        return guard({ patience, pulse }, client)
      }
      client.release(true)
    } catch (error) {
      const full = (error as { code?: unknown }).code === '53300'
      if (full) makeDo(waiting)
      if (!full || waitedFor(begun) + AGAIN > patience.connection) {
        done('silence')
        throw noConnection(error)
      }
      await sleep(AGAIN)
    }
  }
}

/** Milliseconds for which a pool does with the connections that it has got when the server has no more. */
const MAKE_DO = 1000

/** Whoever comes next queues for our own connections. A full server has a place again when somebody goes. */
function makeDo({ pool, most }: Waiting): void {
  pool.options.max = Math.max(1, pool.totalCount)
  setTimeout(() => {
    pool.options.max = most
  }, MAKE_DO).unref()
}

function noConnection(error: unknown): Error {
  const { code, message } = error as { code?: unknown; message: string }
  return outage(code === '08004' ? code : '08001', `There is no connection to the database: ${message}`, error)
}

/**
 * Asks the server for its version, once, at start.
 * @param setting where the connection comes from, as the operator knows it
 * @throws OperatorFault when the database cannot be reached, is a standby, or is too old
 */
export async function checkServer(db: Db, place: string, setting = 'DATABASE_URL'): Promise<void> {
  let version: number
  try {
    const answer = await sql<{ server_version_num: string }>`show server_version_num`.execute(db)
    version = Math.floor(Number(answer.rows[0]?.server_version_num) / 10_000)
  } catch (error) {
    const [what, advice] = explain(error)
    throw new OperatorFault(`The database at ${place} cannot be used: ${what}.`, `${advice} ${setting}.`, {
      cause: error,
    })
  }
  if (version < POSTGRES_FLOOR) {
    throw new OperatorFault(
      `The database at ${place} is PostgreSQL ${version}.`,
      `Gatehouse needs PostgreSQL ${POSTGRES_FLOOR} or later.`,
    )
  }
}

/** @returns a DATABASE_URL without user, password and options, fit for a terminal; a socket's folder is named */
export function describePlace(url: string): string {
  const place = url.replace(/^\w+:\/\/(?:[^/?#]*@)?/, '').replace(/[?#].*$/, '')
  const socket = /[?&]host=([^&#]+)/.exec(url)?.[1]
  return place.startsWith('/') && socket ? `${decodeURIComponent(socket)}${place}` : place
}

/** @returns what happened, and the beginning of what to do, which ends with the setting */
function explain(error: unknown): readonly [string, string] {
  const { code, message, cause } = error as NodeJS.ErrnoException
  if ((code === '08001' || code === '08004') && cause) return explain(cause)
  switch (code) {
    case '08004':
      return ['it is a standby, and takes no writes', 'Promote it, or name the primary in']
    case '08006':
      return ['it does not answer', 'Look whether PostgreSQL runs there, and check']
    case 'ECONNREFUSED':
      return ['nothing listens there', 'Start PostgreSQL there, or correct host and port in']
    case 'ENOENT':
      return [message, 'Start PostgreSQL there, or correct the path in']
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['no host of that name is known', 'Correct the host in']
    case '28P01':
    case '28000':
      return [message, 'Let the user in (pg_hba.conf of that server), or correct user and password in']
    case '3D000':
      return [message, 'Create it ("createdb"), or correct the name at the end of']
    default:
      return [/timeout/.test(message) ? 'it does not answer' : message, 'Look whether PostgreSQL runs there, and check']
  }
}
