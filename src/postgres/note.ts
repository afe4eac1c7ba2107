// The note `database.json` in the data folder (GATEHOUSE_DATA_DIR): where the database is, and whether it was finished. With a
// finished note a missing database is an accident, never a reason to make an empty one.
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'
import { writeWhole } from './write-whole.ts'

export interface Note {
  /** the folder that the note lies in, to notice copies and moves */
  readonly dataDir: string
  /** where the database, its log and its owner file are: `.` for the data folder itself, else an absolute path */
  readonly place: string
  /** when the database was finished (ISO 8601); null while it is being made */
  readonly made: string | null
}

const FILE = 'database.json'
const ABOUT = 'Gatehouse made its database here. Keep this file: without it the database counts as never made.'

/**
 * @returns the note, or undefined where no database was ever begun
 * @throws OperatorFault for a note that cannot be understood
 */
export async function readNote(dataDir: string): Promise<Note | undefined> {
  const path = join(dataDir, FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { dataDir, place, made } = JSON.parse(text) as Partial<Note>
    if (typeof dataDir === 'string' && typeof place === 'string') return { dataDir, place, made: made ?? null }
  } catch {
    // told below
  }
  throw new OperatorFault(
    `The file ${path}, which says where the database is, is damaged.`,
    `Restore it from a backup, or, if ${join(dataDir, 'postgres')} holds the database, delete the file.`,
  )
}

/** @returns false if another process left a note first (only with `once`) */
export function writeNote(dataDir: string, note: Note, options: { once?: boolean } = {}): Promise<boolean> {
  return writeWhole(join(dataDir, FILE), `${JSON.stringify({ about: ABOUT, ...note }, null, 2)}\n`, {
    ...options,
    durable: true,
  })
}

/**
 * A note that points elsewhere came along when its folder was moved, which is fine, or copied, which is not: the database
 * was not copied with it, and two folders would share one.
 */
export async function refuseCopiedNote(dataDir: string, note: Note): Promise<void> {
  if (note.place === '.' || note.dataDir === dataDir) return
  const there = await realpath(note.dataDir)
    .then(readNote)
    .catch(() => undefined)
  if (there?.place !== note.place) {
    await writeNote(dataDir, { ...note, dataDir })
    return
  }
  throw new OperatorFault(
    `${dataDir} is a copy of ${note.dataDir}; the database of both lies in ${note.place} and was not copied with it.`,
    `Use ${note.dataDir}, or delete ${join(dataDir, FILE)} to begin with an empty database here.`,
  )
}
