// Where the database lives. For an ordinary user that is the data folder (GATEHOUSE_DATA_DIR, mode 0700): `postgres/` in it is
// PostgreSQL's own folder, beside it socket/, the log, the access rules and the owner file. Root cannot run PostgreSQL, and the
// user who does cannot pass a folder with mode 0700 of root, so as root all this lies under /var/lib/gatehouse/<name>, and a
// note in the data folder says where. Only a data folder that root left passable for that user holds it itself.
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'
import { type Note, readNote, refuseCopiedNote, writeNote } from './note.ts'
import { canPass, findServerUser, type ServerUser } from './user.ts'

export interface Place {
  /** real path of GATEHOUSE_DATA_DIR */
  readonly dataDir: string
  /** the folder of the log, the owner file and the access rules; PostgreSQL's own folder is in it */
  readonly base: string
  /** PostgreSQL's own folder */
  readonly data: string
  readonly log: string
  readonly user: ServerUser
  readonly note: Note
}

const ROOT_HOME = '/var/lib/gatehouse'

/**
 * Finds the database of a data folder, or settles where it is going to be; makes the folders, never the database.
 * @param say told when an older database was left alone
 * @throws OperatorFault when the database cannot be where it is expected
 */
export async function choosePlace({ say }: { say: (line: string) => void }, path: string): Promise<Place> {
  const dataDir = await makeDataDir(resolve(path))
  const note = (await readNote(dataDir)) ?? (await leaveNote({ say }, dataDir))
  await refuseCopiedNote(dataDir, note)
  const base = resolve(dataDir, note.place)
  const data = join(base, 'postgres')
  const user = await findServerUser(data)
  if (base !== dataDir) {
    if (!note.made) await makeBase(base)
  } else if (user.switched && !(await canPass(base, user))) {
    throw new OperatorFault(
      `The database in ${data} belongs to ${user.name}, who cannot reach it.`,
      `Let that user pass the folders above it ("chmod o+x"), or start Gatehouse as a user who can.`,
    )
  }
  return { dataDir, base, data, log: join(base, 'postgres.log'), user, note }
}

async function makeDataDir(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const real = await realpath(path)
  const { uid, mode } = await stat(real)
  // Root's is left as it is: passable on purpose, it holds the database, as a volume of a container must.
  if (uid !== 0 && uid === process.getuid?.() && (mode & 0o077) !== 0) await chmod(real, 0o700)
  return real
}

async function leaveNote({ say }: { say: (line: string) => void }, dataDir: string): Promise<Note> {
  const { place, older } = await choosePlaceName(dataDir)
  const note = { dataDir, place, made: null }
  if (!(await writeNote(dataDir, note, { once: true }))) return (await readNote(dataDir)) ?? note
  // Somebody deleted the data folder to begin anew. What lies there is theirs to delete.
  if (older) say(`An older database of this folder, without its note, was left alone in ${older}`)
  return note
}

async function choosePlaceName(dataDir: string): Promise<{ place: string; older?: string }> {
  const data = join(dataDir, 'postgres')
  if (process.getuid?.() !== 0 || (await exists(data))) return { place: '.' }
  if (await canPass(dataDir, await findServerUser(data))) return { place: '.' }
  const first = join(ROOT_HOME, nameFor(dataDir))
  let place = first
  let older: string | undefined
  for (let count = 2; await exists(place); count += 1) {
    older = place
    place = `${first}-${count}`
  }
  return { place, older }
}

/** @returns a readable name with a hash of the path, such as `shop-data-3f2a1b9c` for /root/shop/data */
function nameFor(dataDir: string): string {
  const words = `${basename(dirname(dataDir))}-${basename(dataDir)}`.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 8)
  return `${words.replace(/^-+|-+$/g, '').slice(-40)}-${hash}`
}

/** The parent is walked by the server's user, but only root may put things there, or links could lead root astray. */
async function makeBase(base: string): Promise<void> {
  for (const [folder, mode] of [
    [dirname(base), 0o755],
    [base, 0o711],
  ] as const) {
    const made = await mkdir(folder, { recursive: true, mode })
    if (made) await chmod(folder, mode)
    const { uid, mode: found } = await lstat(folder)
    if (uid !== 0 || (found & 0o022) !== 0) {
      throw new OperatorFault(
        `${folder}, where the database is going to be, belongs to another user or can be changed by others.`,
        `Give it to root ("chown root ${folder} && chmod go-w ${folder}"), or set DATABASE_URL.`,
      )
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}
