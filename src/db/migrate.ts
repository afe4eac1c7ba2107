// Brings the tables up to date, whoever starts first: Kysely's migrator holds an advisory lock while it works.
import { type Kysely, sql } from 'kysely'
import { type Migration, type MigrationProvider, Migrator, NO_MIGRATIONS } from 'kysely/migration'
import * as keyRing from '../../migrations/0001-key-ring.ts'
import * as accounts from '../../migrations/0002-accounts.ts'
import * as resourcesAndClients from '../../migrations/0003-resources-and-clients.ts'
import * as sessionsAndGrants from '../../migrations/0004-sessions-and-grants.ts'
import * as tokens from '../../migrations/0005-tokens.ts'
import * as endingsAndAudit from '../../migrations/0006-endings-and-audit.ts'
import * as versions from '../../migrations/0007-versions.ts'
import * as signingKeyStates from '../../migrations/0008-signing-key-states.ts'
import * as clientSecrets from '../../migrations/0009-client-secrets.ts'
import * as pushedRequests from '../../migrations/0010-pushed-requests.ts'
import * as throttleBuckets from '../../migrations/0011-throttle-buckets.ts'
import * as epochs from '../../migrations/0012-epochs.ts'
import * as ringVersions from '../../migrations/0015-ring-versions.ts'
import * as housekeeping from '../../migrations/0016-housekeeping.ts'
import * as boundTokens from '../../migrations/0017-bound-tokens.ts'
import * as primaryMet from '../../migrations/0019-primary-met.ts'
import * as ownerOfEpochs from '../../migrations/0020-owner-of-epochs.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import type { Db } from './unit-of-work.ts'

interface OurMigration extends Migration {
  /** the oldest Gatehouse version that can live with the tables as this migration leaves them */
  readonly oldestVersion: string
}

const MIGRATIONS: Record<string, OurMigration> = {
  '0001-key-ring': keyRing,
  '0002-accounts': accounts,
  '0003-resources-and-clients': resourcesAndClients,
  '0004-sessions-and-grants': sessionsAndGrants,
  '0005-tokens': tokens,
  '0006-endings-and-audit': endingsAndAudit,
  '0007-versions': versions,
  '0008-signing-key-states': signingKeyStates,
  '0009-client-secrets': clientSecrets,
  '0010-pushed-requests': pushedRequests,
  '0011-throttle-buckets': throttleBuckets,
  '0012-epochs': epochs,
  '0015-ring-versions': ringVersions,
  '0016-housekeeping': housekeeping,
  '0017-bound-tokens': boundTokens,
  '0019-primary-met': primaryMet,
  '0020-owner-of-epochs': ownerOfEpochs,
}

export interface MigrationReport {
  readonly applied: readonly string[]
  /** migrations of a newer Gatehouse that this version can live with */
  readonly newer: readonly string[]
}

/**
 * Runs every migration that has not run yet.
 * @param version our own version, compared with what newer migrations demand
 * @throws OperatorFault when the database belongs to a Gatehouse too new for this one, or a migration fails
 */
export async function migrateToLatest(db: Db, version: string): Promise<MigrationReport> {
  const newer = await newerMigrations(db, version)
  if (newer.length > 0) return { applied: [], newer }
  const { error, results } = await migrator(db).migrateToLatest()
  if (error) throw migrationFault(results?.find((one) => one.status === 'Error')?.migrationName, error)
  const applied = (results ?? []).filter((one) => one.status === 'Success').map((one) => one.migrationName)
  return { applied, newer: [] }
}

/** Undoes every migration: for tests of `down`. */
export async function migrateDown(db: Db): Promise<void> {
  const { error, results } = await migrator(db).migrateTo(NO_MIGRATIONS)
  if (error) throw migrationFault(results?.find((one) => one.status === 'Error')?.migrationName, error)
}

/** @returns the names of migrations that this version knows and the database lacks */
export async function pendingMigrations(db: Db): Promise<readonly string[]> {
  const done = await executedMigrations(db)
  return Object.keys(MIGRATIONS).filter((name) => !done.includes(name))
}

function migrator(db: Db): Migrator {
  const noting = Object.entries(MIGRATIONS).map(([name, one]) => [name, notingFloor(name, one)])
  const provider: MigrationProvider = { getMigrations: async () => Object.fromEntries(noting) }
  return new Migrator({ db, provider })
}

async function executedMigrations(db: Db): Promise<readonly string[]> {
  const there = await sql<{ there: boolean }>`select to_regclass('kysely_migration') is not null as there`.execute(db)
  if (!there.rows[0]?.there) return []
  const rows = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return rows.rows.map((row) => row.name)
}

async function newerMigrations(db: Db, version: string): Promise<readonly string[]> {
  const unknown = (await executedMigrations(db)).filter((name) => !(name in MIGRATIONS))
  if (unknown.length === 0) return []
  const floors = await sql<{ oldest_version: string }>`
    select oldest_version from migration_floors where name = any(${unknown})`.execute(db)
  const floor = floors.rows
    .map((row) => row.oldest_version)
    .sort(compareVersions)
    .at(-1)
  if (floor === undefined || floors.rows.length < unknown.length || compareVersions(version, floor) < 0) {
    throw new OperatorFault(
      `The database was migrated by a newer Gatehouse (${unknown.join(', ')}); this is ${version}.`,
      `Start Gatehouse ${floor ?? 'in its newer version'} or later. Nothing was changed.`,
    )
  }
  return unknown
}

/** A migration and its floor are one commit: a version that does not know the migration cannot start without the floor. */
function notingFloor(name: string, { up, down, oldestVersion }: OurMigration): Migration {
  return {
    down,
    async up(db: Kysely<unknown>) {
      await up(db)
      const table = sql`create table if not exists migration_floors (name text primary key, oldest_version text not null)`
      await table.execute(db)
      const row = sql`insert into migration_floors values (${name}, ${oldestVersion}) on conflict (name) do nothing`
      await row.execute(db)
    },
  }
}

function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

function migrationFault(name: string | undefined, error: unknown): OperatorFault {
  const text = error instanceof Error ? error.message : String(error)
  return new OperatorFault(
    `The database could not be migrated${name ? ` (at ${name})` : ''}: ${text}.`,
    'The role needs the right to create tables: set GATEHOUSE_MIGRATE_URL to a role that has it. Nothing was half done.',
    { cause: error },
  )
}
