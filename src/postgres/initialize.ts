// Makes the database's files, once: initdb in a folder beside their place, then a rename. A killed initdb would leave a folder
// that the next one refuses as not empty.
import { spawn } from 'node:child_process'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'
import { type Binaries, MAJOR } from './binaries.ts'
import { lastLines } from './log.ts'
import type { Place } from './place.ts'
import { buildFolder, sweepScratch } from './scratch.ts'
import { serverEnvironment } from './settings.ts'

/**
 * Makes sure that there are files that this PostgreSQL can open.
 * @throws OperatorFault if they are of another major version, or missing although they were once finished; nothing is
 *   touched then
 */
export async function initialize(
  { binaries }: { binaries: () => Promise<Binaries> },
  place: Place,
  noSync: boolean,
): Promise<void> {
  await sweepScratch(place.base)
  const version = await readFile(join(place.data, 'PG_VERSION'), 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (version === undefined) await create({ binaries }, place, noSync)
  else if (version.trim() !== MAJOR) throw otherMajor(place, version.trim())
}

async function create(
  { binaries }: { binaries: () => Promise<Binaries> },
  { data, user, note, dataDir }: Place,
  noSync: boolean,
): Promise<void> {
  if (note.made) {
    throw new OperatorFault(
      `The database that was made on ${note.made} is missing or torn: ${join(data, 'PG_VERSION')} is not there.`,
      `Bring ${data} back (mount its volume, restore a backup). To give the database up, delete the folder ${dataDir}.`,
    )
  }
  const entries = await readdir(data).catch(() => [])
  if (entries.length > 0) {
    throw new OperatorFault(
      `The folder ${data} is not empty, and what is in it is not a PostgreSQL database.`,
      'Move it away, or set GATEHOUSE_DATA_DIR to another folder.',
    )
  }
  const { initdb } = await binaries()
  await buildFolder(data, user, (scratch) => runInitdb(initdb, scratch, user, noSync))
  if (!noSync) await syncFolder(join(data, '..'))
}

async function runInitdb(initdb: string, folder: string, user: Place['user'], noSync: boolean): Promise<void> {
  const args = ['-D', folder, '-U', 'gatehouse', '-E', 'UTF8', '--locale=C', '--locale-provider=builtin']
  args.push('--builtin-locale=C.UTF-8', '--auth-local=peer', '--auth-host=reject', '--no-instructions')
  if (noSync) args.push('--no-sync')
  const as = user.switched ? { uid: user.uid, gid: user.gid } : {}
  const child = spawn(initdb, args, { ...as, cwd: '/', env: serverEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => (output = (output + chunk).slice(-4096)))
  const code = await new Promise<number | null>((done, fail) => child.on('error', fail).on('close', done)).catch(
    (error) => {
      throw cannotRun(initdb, error)
    },
  )
  if (code === 0) return
  throw new OperatorFault(
    `The database could not be made in ${folder}; initdb said:\n${lastLines(output)}`,
    'Look for a full disk, or folders that the user who runs PostgreSQL may not use. Nothing was left behind.',
  )
}

/** @returns a fault for a program that could not even be started */
export function cannotRun(program: string, error: NodeJS.ErrnoException): OperatorFault {
  // A program that is there and yet "not there" lacks its loader: the builds are for glibc.
  const advice =
    error.code === 'ENOENT'
      ? 'PostgreSQL comes built for glibc; on Alpine and other musl systems set DATABASE_URL.'
      : 'Check that the file system allows running programs (mount option noexec), or set DATABASE_URL.'
  return new OperatorFault(`${program} could not be run (${error.code}).`, advice, { cause: error })
}

function otherMajor({ data }: Place, version: string): OperatorFault {
  return new OperatorFault(
    `The database in ${data} was made by PostgreSQL ${version}; this is PostgreSQL ${MAJOR}. Nothing was touched.`,
    `Dump it with PostgreSQL ${version} (pg_dump) and restore it into a new folder, or use the Gatehouse that made it.`,
  )
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().catch(() => undefined) // some file systems cannot
  await folder.close()
}
