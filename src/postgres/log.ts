// The server's own log, postgres.log: a file opened by us, not a pipe, so it outlives this process and never fills. PostgreSQL's
// logging_collector is not used: it empties a file only when time has passed and the name changes, never by size.
import { constants } from 'node:fs'
import { type FileHandle, open, rm, stat, writeFile } from 'node:fs/promises'
import { giveToFolderOwner } from './write-whole.ts'

const LIMIT = 5 * 1024 * 1024
const MINUTE = 60_000

/** Opens the log for appending; a link in its place is refused, for root may be the one who opens. */
export async function openLog(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
  const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
  await giveToFolderOwner(path)
  return file
}

/** Empties a log of more than 5 MB, its end kept in `.1`. The server appends, so it goes on at the new end. */
export async function boundLog(path: string, limit = LIMIT): Promise<void> {
  if ((await logSize(path)) <= limit) return
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
  try {
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(Math.min(size, LIMIT)),
      0,
      null,
      Math.max(0, size - LIMIT),
    )
    await rm(`${path}.1`, { force: true })
    await writeFile(`${path}.1`, buffer.subarray(0, bytesRead), { flag: 'wx', mode: 0o600 })
    await giveToFolderOwner(`${path}.1`)
    await file.truncate()
  } finally {
    await file.close()
  }
}

/**
 * Bounds the log once a minute, without keeping this process alive.
 * @returns stops doing so
 */
export function watchLog(path: string): () => void {
  const timer = setInterval(() => void boundLog(path).catch(() => undefined), MINUTE)
  timer.unref()
  return () => clearInterval(timer)
}

/** @returns the size in bytes, 0 without a log */
export async function logSize(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  )
}

/** @returns the last lines written since `from` (a byte offset), for an error message */
export async function tailLog(path: string, from: number): Promise<string> {
  const size = await logSize(path)
  const start = Math.max(Math.min(from, size), size - 4096)
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
    return lastLines(buffer.subarray(0, bytesRead).toString('utf8'))
  } finally {
    await file.close()
  }
}

/** @returns the last eight lines, indented */
export function lastLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines
    .slice(-8)
    .map((line) => `  ${line}`)
    .join('\n')
}
