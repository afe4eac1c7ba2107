// One throw-away PostgreSQL for the whole run, made by the launcher that production uses, and in it the migrated database
// `tmpl`, of which every test file gets a clone. Runs outside Jest's vm, where Node reads `.ts` files itself.
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
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
  try {
    await createTemplate(database.connection)
  } catch (error) {
    // Jest tears nothing down after a failed set-up.
    await database.stop()
    await removeDatabase(database.place, dataDir)
    throw error
  }
  globalThis.__testDatabase = { database, dataDir }
  process.env.TEST_PG = JSON.stringify(database.connection)
  // One folder into which the browser is unpacked once for all test files; it goes with the rest of the run.
  process.env.GATEHOUSE_TEST_TMP = join(dataDir, 'browser')
  await mkdir(process.env.GATEHOUSE_TEST_TMP, { mode: 0o700 })
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
    const { mtimeMs, uid } = name.startsWith(PREFIX) ? await stat(dataDir).catch(() => ({})) : {} // or it has just ended
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
