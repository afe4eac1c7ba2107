// The embedded PostgreSQL: found or started, with a database `gatehouse` in it, and stopped by the process that owns it.
import { OperatorFault } from '../vocabulary/fault.ts'
import { type Kept, keepServer } from './keep.ts'
import { watchLog } from './log.ts'
import { writeNote } from './note.ts'
import {
  type Claim,
  claimOwnership,
  livingOwner,
  newOwner,
  type Owner,
  type Role,
  refuseSecondServer,
} from './owner.ts'
import { choosePlace, type Place } from './place.ts'
import { type Reached, reachServer } from './reach.ts'
import { closeSession, type Session, showPresence, whileDeciding } from './session.ts'
import { PORT } from './socket.ts'
import { stopDatabase } from './stop.ts'

export interface EmbeddedDatabase {
  /** for pg.Pool: the folder of the unix socket as host, and no password */
  readonly connection: { host: string; port: number; user: string; database: string; ssl: false }
  /** real path of the folder that holds PostgreSQL's `postgres/`, its log and its owner file */
  readonly place: string
  /** `started` by us; `joined`: somebody else's, or taken over from a command; `adopted`: its owner had died */
  readonly how: 'started' | 'joined' | 'adopted'
  /** Stops the server if this process owns it; end the pools first. May be called twice. @throws OperatorFault */
  stop(): Promise<void>
}

export interface LaunchOptions {
  /** GATEHOUSE_DATA_DIR; made if it is not there */
  readonly dataDir: string
  /** a server owns the database while it lives; a command joins whatever runs */
  readonly role: Role
  /** told what a person at the terminal should know */
  readonly say?: (line: string) => void
  /** tests only: nothing is forced to the disk */
  readonly noSync?: boolean
}

/** Tries until a server stays long enough to be claimed: one that is being stopped takes our connection with it. */
const ATTEMPTS = 5

/**
 * Joins the database of a data folder, or starts it, and makes it first if there never was one.
 * @throws OperatorFault whenever the operator can do something about it: a second server, another major version, a torn
 *   or missing database, a user who may not, a platform without binaries
 */
export async function launchPostgres(options: LaunchOptions): Promise<EmbeddedDatabase> {
  try {
    return await launch(options)
  } catch (error) {
    throw asFault(error, options.dataDir)
  }
}

async function launch({ dataDir, role, say = () => {}, noSync = false }: LaunchOptions): Promise<EmbeddedDatabase> {
  const place = await choosePlace({ say }, dataDir)
  const living = await livingOwner(place.base)
  if (living) refuseSecondServer(living, role)
  for (let attempt = 1; ; attempt += 1) {
    const reach = (where: Place) => reachServer({ now: () => performance.now(), say }, where, noSync)
    const reached = await reach(place)
    const me = newOwner(place.base, role, new Date())
    try {
      const claim = await settle(reached.session, place, me)
      // From here on the database is finished: if its files vanish, a new one must not take their place.
      const finished = { ...place, note: { ...place.note, made: me.since } }
      const kept = role === 'server' ? keepServer({ reach: () => reach(finished), say }, reached) : undefined
      return handle(reached, kept, place, me, claim)
    } catch (error) {
      if (!(error instanceof OperatorFault) && attempt < ATTEMPTS) {
        await closeSession(reached.session)
        continue
      }
      await stopDatabase({ ...reached, me }, place, reached.server).catch(() => undefined)
      throw error
    }
  }
}

/** Alone for a moment: finish the database if nobody has, and see who owns the server. */
async function settle(session: Session, place: Place, me: Owner): Promise<Claim> {
  return whileDeciding(session, async () => {
    const claim = await claimOwnership(me)
    await finishDatabase(session, place, new Date(me.since))
    await showPresence(session)
    return claim
  })
}

async function finishDatabase({ client }: Session, { dataDir, data, note }: Place, now: Date): Promise<void> {
  const { rowCount } = await client.query(`select from pg_database where datname = 'gatehouse'`)
  if (rowCount === 1 && note.made) return
  if (note.made) {
    throw new OperatorFault(
      `The database "gatehouse" that was made on ${note.made} is not in ${data} any more.`,
      `Restore it from a backup. To give it up, delete the folder ${dataDir}.`,
    )
  }
  if (rowCount === 0) await client.query('create database gatehouse')
  await writeNote(dataDir, { ...note, made: now.toISOString() })
}

function handle(launched: Reached, kept: Kept | undefined, place: Place, me: Owner, claim: Claim): EmbeddedDatabase {
  const { socket, child } = launched
  const unwatch = claim === 'guest' ? () => {} : watchLog(place.log)
  const stop = async () => {
    unwatch()
    const { session, server } = (await kept?.letGo()) ?? launched
    await stopDatabase({ session, socket, me }, place, server)
  }
  let stopped: Promise<void> | undefined
  return {
    connection: { host: socket, port: PORT, user: 'gatehouse', database: 'gatehouse', ssl: false },
    place: place.base,
    how: child ? 'started' : claim === 'owner' || claim === 'adopter' ? 'adopted' : 'joined',
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

const NOT_ALLOWED = [
  'this user may not read and write it',
  'Let the user who starts Gatehouse do so, or set GATEHOUSE_DATA_DIR to a folder of your own.',
] as const
const IN_THE_WAY = ['a file is in the way', 'Set GATEHOUSE_DATA_DIR to a folder.'] as const

/** What the operating system says, and what to do about it. */
const FAULTS: Readonly<Record<string, readonly [string, string]>> = {
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  EROFS: [
    'the file system is read-only',
    'Set GATEHOUSE_DATA_DIR to a folder on another one, or set DATABASE_URL to a PostgreSQL server.',
  ],
  ENOSPC: ['the disk is full', 'Free some space and start again.'],
  ENOTDIR: IN_THE_WAY,
  EEXIST: IN_THE_WAY,
}

function asFault(error: unknown, dataDir: string): unknown {
  const { code, path } = error as NodeJS.ErrnoException
  const known = FAULTS[code ?? '']
  if (error instanceof OperatorFault || !known) return error
  const [what, advice] = known
  const place = path?.replace(/\.[0-9a-f-]{36}$/, '') // a draft's name says nothing
  const below = place && place !== dataDir ? ` (${place})` : ''
  return new OperatorFault(`The data folder ${dataDir} cannot be used: ${what}${below}.`, advice, { cause: error })
}
