// One connection per process that uses the database, kept as long as it does. It shows who is here (a shared advisory lock),
// and settles who may change the owner file (an exclusive one): both vanish with their process, so nothing can be left stale.
import pg from 'pg'
import { PORT } from './socket.ts'

/** First keys of our advisory locks in the database `postgres`; nobody else takes locks there. */
const LOCKS = { class: 0x67746801, deciding: 1, here: 2 }

export interface Session {
  /** `ref` and `unref` are pg's own, and missing in its types */
  readonly client: pg.Client & { ref(): void; unref(): void }
  /** the server's process id, in its own words */
  readonly pid: number
  /** PostgreSQL's folder, in the server's words */
  readonly data: string
}

/**
 * Connects to the server at a socket. Outside `whileDeciding` the connection does not keep this process alive.
 * @throws pg's error; ENOENT and ECONNREFUSED where nobody listens, SQLSTATE 57P03 while the server starts or stops
 */
export async function openSession(socket: string): Promise<Session> {
  const client = new pg.Client({
    host: socket,
    port: PORT,
    user: 'gatehouse',
    database: 'postgres',
    ssl: false,
    application_name: 'gatehouse launcher',
    connectionTimeoutMillis: 5000,
    lock_timeout: 25_000,
  }) as Session['client']
  client.on('error', () => undefined) // the server went away: the next query tells
  await client.connect()
  try {
    const { rows } = await client.query<{ pid: number; data: string }>(
      `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1)::int as pid, current_setting('data_directory') as data`,
    )
    return { client, pid: rows[0]!.pid, data: rows[0]!.data }
  } catch (error) {
    await closeSession({ client })
    throw error
  }
}

/** Ends the connection, whatever state it is in. */
export async function closeSession({ client }: Pick<Session, 'client'>): Promise<void> {
  client.ref()
  await client.end().catch(() => undefined)
}

/** Runs `decide` while no other process decides about the same database; the wait is bounded by lock_timeout. */
export async function whileDeciding<T>({ client }: Pick<Session, 'client'>, decide: () => Promise<T>): Promise<T> {
  client.ref()
  await client.query('select pg_advisory_lock($1, $2)', [LOCKS.class, LOCKS.deciding])
  try {
    return await decide()
  } finally {
    // After a stop the connection is gone, and the lock with it.
    await client.query('select pg_advisory_unlock($1, $2)', [LOCKS.class, LOCKS.deciding]).catch(() => undefined)
    client.unref()
  }
}

/** Shows this process as one that uses the database, until the connection ends. */
export async function showPresence({ client }: Pick<Session, 'client'>): Promise<void> {
  await client.query('select pg_advisory_lock_shared($1, $2)', [LOCKS.class, LOCKS.here])
}

/** @returns how many other processes (or launches in this one) use the database */
export async function countOthers({ client }: Pick<Session, 'client'>): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from pg_locks
      where locktype = 'advisory' and classid = $1 and objid = $2 and pid <> pg_backend_pid()
        and database = (select oid from pg_database where datname = current_database())`,
    [LOCKS.class, LOCKS.here],
  )
  return rows[0]!.count
}
