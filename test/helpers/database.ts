// A fresh, migrated database for a test file: a clone of `tmpl` on the server that the global set-up started.
import { randomBytes } from 'node:crypto'
import pg from 'pg'

export interface TestConnection {
  host: string
  port: number
  user: string
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
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = JSON.parse(process.env.TEST_PG ?? '') as TestConnection
  const database = `t_${process.env.JEST_WORKER_ID ?? 0}_${randomBytes(6).toString('hex')}`
  // File copy beats the write-ahead log only on a server that forces nothing to the disk, as ours.
  await asAdmin(server, `create database ${database} template tmpl strategy file_copy`)
  const connection = { ...server, database }
  const pools: pg.Pool[] = []
  return {
    connection,
    url: `postgresql://${server.user}@/${database}?host=${encodeURIComponent(server.host)}&port=${server.port}`,
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

async function asAdmin(server: TestConnection, statement: string): Promise<void> {
  const client = new pg.Client({ ...server, database: 'postgres' })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
