// Opens the database for a process: finds or starts it, looks whether it is ours, brings its tables up to date.
import { type Config, readSecrets } from './config.ts'
import { type Connected, type Connection, checkServer, connect, describePlace } from './db/connect.ts'
import { type MigrationReport, migrateToLatest } from './db/migrate.ts'
import { createPrimaryWatch, type PrimaryWatch } from './db/primary.ts'
import { type EmbeddedDatabase, launchPostgres } from './postgres/launch.ts'
import { tryRing } from './secrets/open-ring.ts'
import { VERSION } from './wire.ts'

/** A database as a process uses it that neither starts nor stops it; `db` is what requests and commands use. */
export interface JoinedDatabase extends Connected {
  /** one connection of its own, so that the question whether the database answers waits for nobody */
  readonly probe: Connected['db']
  /** where it is, fit for a terminal */
  readonly place: string
  /** for connections beside the pool */
  readonly connection: Connection
  /** which every connection beside the pool asks, too */
  readonly primary: PrimaryWatch
}

export interface OpenDatabase extends JoinedDatabase {
  readonly embedded?: EmbeddedDatabase
  readonly migration: MigrationReport
}

/**
 * Opens the database: the one of DATABASE_URL, or the embedded one, which is started if it does not run; then migrates it.
 * @param role `server` owns an embedded database while it lives; `command` joins whatever runs
 * @throws OperatorFault when it cannot be reached, is too old, too new, or belongs to another server or another secret; then
 *   nothing in it was changed
 */
export async function openDatabase(
  config: Config,
  { role, say, onLost }: { role: 'server' | 'command'; say: (line: string) => void; onLost?: (error: Error) => void },
): Promise<OpenDatabase> {
  const embedded = config.databaseUrl ? undefined : await launchPostgres({ dataDir: config.dataDir, role, say })
  const place = config.databaseUrl ? describePlace(config.databaseUrl) : embedded!.place
  const connection = config.databaseUrl ?? embedded!.connection
  const close = async () => {
    await pools.close()
    await embedded?.stop()
  }
  const pools = openPools(connection, onLost)
  try {
    const patient = pools.open('work', COMMAND_CONNECTIONS)
    await checkServer(patient.db, place)
    await tryRing({ db: patient.db, secrets: () => readSecrets(config) })
    const migration = await migrate(config.migrateUrl, connection)
    const opened = { close, place, connection, primary: pools.primary, embedded, migration }
    // What keeps workers has little to ask.
    if (role === 'command' || config.workers > 1) return { ...patient, ...opened, probe: patient.db }
    await patient.close()
    return { ...pools.open('request', config.databaseConnections), ...opened, probe: pools.open('request', 1).db }
  } catch (error) {
    await close()
    throw error
  }
}

/** Opens the database of the process that started this one, which has looked at it. */
export function joinDatabase(
  config: Config,
  { connection, place, onLost }: { connection: Connection; place: string; onLost: (error: Error) => void },
): JoinedDatabase {
  const { open, primary, close } = openPools(connection, onLost)
  const requests = open('request', config.databaseConnections)
  return { ...requests, close, place, connection, primary, probe: open('request', 1).db }
}

function openPools(connection: Connection, onLost?: (error: Error) => void) {
  const primary = createPrimaryWatch()
  const pools = new Set<Connected>()
  return {
    primary,
    open(patience: 'request' | 'work', max: number): Connected {
      const connected = connect(connection, { patience, max, primary, onLost })
      pools.add(connected)
      return { ...connected, close: async () => void (pools.delete(connected) && (await connected.close())) }
    },
    close: async () => void (await Promise.all([...pools].map((pool) => pools.delete(pool) && pool.close()))),
  }
}

const COMMAND_CONNECTIONS = 3

async function migrate(migrateUrl: string | undefined, usual: Connection): Promise<MigrationReport> {
  const migrator = connect(migrateUrl ?? usual, { patience: 'migration', max: 2 })
  try {
    if (migrateUrl) await checkServer(migrator.db, describePlace(migrateUrl), 'GATEHOUSE_MIGRATE_URL')
    return await migrateToLatest(migrator.db, VERSION)
  } finally {
    await migrator.close()
  }
}
