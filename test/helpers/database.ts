// A fresh, migrated database for a test file: a clone of `tmpl` on the server that the global set-up started.
import { randomBytes } from 'node:crypto'
import pg from 'pg'

export interface TestConnection {
  /** an address, or the folder of a unix socket */
  host: string
  port: number
  user: string
  password?: string
  database: string
  ssl: false
}

export interface TestDatabase {
  readonly connection: TestConnection
  /** the same as a DATABASE_URL */
  readonly url: string
  /** a new pool on it (10 connections unless told), ended by `drop` */
  pool(options?: pg.PoolConfig): pg.Pool
  /** ends the pools, and drops the database even if somebody is still connected */
  drop(): Promise<void>
}

/** @returns a database that nobody else uses */
export function createTestDatabase(): Promise<TestDatabase> {
  // File copy beats the write-ahead log only on a server that forces nothing to the disk, as ours.
  return createDatabase(JSON.parse(process.env.TEST_PG ?? '') as TestConnection, 'template tmpl strategy file_copy')
}

/**
 * @param server its `database` is not used
 * @param how the rest of the statement; empty for an empty database
 * @returns a new database with a name of its own
 */
export async function createDatabase(server: TestConnection, how = ''): Promise<TestDatabase> {
  const database = `t_${process.env.JEST_WORKER_ID ?? 0}_${randomBytes(6).toString('hex')}`
  await asAdmin(server, `create database ${database} ${how}`)
  const connection = { ...server, database }
  const pools: pg.Pool[] = []
  return {
    connection,
    url: databaseUrl(connection),
    pool(options = {}) {
      const pool = new pg.Pool({ ...connection, max: 10, ...options })
      pool.on('error', () => undefined)
      pools.push(pool)
      return pool
    },
    async drop() {
      await Promise.all(pools.map((pool) => (pool.ended ? undefined : pool.end())))
      await asAdmin(server, `drop database if exists ${database} with (force)`)
    },
  }
}

/** @returns the same as a DATABASE_URL */
export function databaseUrl({ host, port, user, password, database }: Omit<TestConnection, 'ssl'>): string {
  const who = password ? `${encodeURIComponent(user)}:${encodeURIComponent(password)}` : encodeURIComponent(user)
  return `postgresql://${who}@/${database}?host=${encodeURIComponent(host)}&port=${port}`
}

async function asAdmin(server: TestConnection, statement: string): Promise<void> {
  const client = new pg.Client({ ...server, database: 'postgres' })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
