// The PostgreSQL of the bench: the one that ships, forcing everything to the disk as in production, or FAULTS_DATABASE_URL.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { launchPostgres } from '../src/postgres/launch.ts'
import { createDatabase, type TestConnection, type TestDatabase } from '../test/helpers/database.ts'

export interface BenchDatabase {
  /** `embedded PostgreSQL` or `PostgreSQL of FAULTS_DATABASE_URL` */
  readonly name: string
  /** @returns a new, empty database */
  create(): Promise<TestDatabase>
  /** @returns what the server itself has logged; empty for an external one, whose log we cannot read */
  log(): Promise<string>
  stop(): Promise<void>
}

/** @param url FAULTS_DATABASE_URL: a user who may create databases and event log tables in them; without TLS */
export async function openBenchDatabase(url: string | undefined): Promise<BenchDatabase> {
  if (url) return external(url)
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-faults-'))
  const launched = await launchPostgres({ dataDir, role: 'server' })
  return {
    name: 'embedded PostgreSQL',
    create: () => createDatabase(launched.connection),
    log: () => readFile(join(launched.place, 'postgres.log'), 'utf8'),
    async stop() {
      await launched.stop()
      for (const folder of [launched.place, dataDir]) await rm(folder, { recursive: true, force: true })
    },
  }
}

function external(url: string): BenchDatabase {
  const { host, port, user, password, database } = new pg.Client(url)
  const server: TestConnection = { host, port, user: user!, password, database: database!, ssl: false }
  return {
    name: 'PostgreSQL of FAULTS_DATABASE_URL',
    create: () => createDatabase(server),
    log: async () => '',
    stop: async () => undefined,
  }
}
