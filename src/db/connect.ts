// The connection pool, and Kysely over it.
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { OperatorFault } from '../vocabulary/fault.ts'
import type { Schema } from './schema.ts'
import type { Db } from './unit-of-work.ts'

/** The oldest PostgreSQL major version we test against. */
export const POSTGRES_FLOOR = 15

/** A DATABASE_URL, or the socket of the embedded server. */
export type Connection = string | { host: string; port: number; user: string; database: string }

export interface Connected {
  readonly db: Db
  readonly pool: pg.Pool
  close(): Promise<void>
}

/**
 * Opens the pool; connections are made when first used.
 * @param connection where the database is
 * @param options `max` connections; `onLost` hears of idle connections that broke (a server restart must not end the process)
 */
export function connect(
  connection: Connection,
  options: { max?: number; onLost?: (error: Error) => void } = {},
): Connected {
  const pool = new pg.Pool({
    ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    max: options.max ?? 10,
    connectionTimeoutMillis: 5000,
    application_name: 'gatehouse',
    // A request that lost its way must not hold locks for ever. Bounds are in milliseconds.
    statement_timeout: 15_000,
    lock_timeout: 10_000,
    idle_in_transaction_session_timeout: 15_000,
  })
  // The pool listens for idle connections only. One that breaks while somebody holds it fails the query at hand; its own
  // `error` event, unheard, would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined))
  pool.on('error', (error) => options.onLost?.(error))
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  return { db, pool, close: () => db.destroy() }
}

/**
 * Asks the server for its version, once, at start.
 * @param setting where the connection comes from, as the operator knows it
 * @throws OperatorFault when the database cannot be reached or is too old
 */
export async function checkServer(pool: pg.Pool, place: string, setting = 'DATABASE_URL'): Promise<void> {
  let version: number
  try {
    const answer = await pool.query<{ server_version_num: string }>('show server_version_num')
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
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
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
