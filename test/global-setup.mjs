// One throw-away PostgreSQL for the whole run, made by the launcher that production uses, and in it the migrated database
// `tmpl`, of which every test file gets a clone. Runs outside Jest's vm, where Node reads `.ts` files itself.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

const PREFIX = 'gatehouse-test-run-'
const HOUR = 3_600_000

export default async function setUp() {
  const { launchPostgres } = await import('../src/postgres/launch.ts')
  await removeDeadRuns(launchPostgres)
  const dataDir = await mkdtemp(join(tmpdir(), PREFIX))
  const database = await launchPostgres({ dataDir, role: 'server', noSync: true })
  globalThis.__testDatabase = { database, dataDir }
  await createTemplate(database.connection)
  process.env.TEST_PG = JSON.stringify(database.connection)
}

/** @param connection where the server is; `tmpl` must have no connections when this returns, or it cannot be cloned */
async function createTemplate(connection) {
  const { connect } = await import('../src/db/connect.ts')
  const { migrateToLatest } = await import('../src/db/migrate.ts')
  const admin = new pg.Client(connection)
  await admin.connect()
  await admin.query('create database tmpl')
  await admin.end()
  const { db, close } = connect({ ...connection, database: 'tmpl' }, { max: 2 })
  try {
    await migrateToLatest(db, '0.0.0')
  } finally {
    await close()
  }
}

/** A run that was killed leaves its server behind. Whoever joins a database whose owner died owns it, and may end it. */
async function removeDeadRuns(launchPostgres) {
  for (const name of await readdir(tmpdir())) {
    const dataDir = join(tmpdir(), name)
    const { mtimeMs, uid } = name.startsWith(PREFIX) ? await stat(dataDir) : {}
    if (mtimeMs === undefined || uid !== process.getuid() || Date.now() - mtimeMs < HOUR) continue
    const found = await launchPostgres({ dataDir, role: 'command', noSync: true }).catch(() => undefined)
    await found?.stop()
    if (found && found.how !== 'joined') await removeDatabase(found.place, dataDir)
  }
}

/** Deletes a stopped database and its data folder; as root the database lies elsewhere. */
export async function removeDatabase(place, dataDir) {
  for (const folder of [place, dataDir]) await rm(folder, { recursive: true, force: true })
}
