// postmaster.pid, the server's own lock: the only lock there is. We read it, and never write or delete it.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface PostmasterFile {
  readonly pid: number
  /** PostgreSQL's folder as the server named it; another path than ours means that the folder was copied or moved */
  readonly data: string
  /** empty until the server listens */
  readonly socket: string
}

/** @returns what the running (or crashed) server wrote, or undefined if there is none; lines are miscadmin.h's LOCK_FILE_LINE_* */
export async function readPostmasterFile(data: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0 || !lines[1]) return undefined
  return { pid, data: lines[1], socket: lines[4] ?? '' }
}
