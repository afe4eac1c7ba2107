// secret.key, the secret of an embedded database: one to a line, newest first. There are two while the ring is being wrapped
// under another, so that at every moment one of them opens it.
import { randomBytes } from 'node:crypto'
import {
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'

/** The shortest secret, in bytes. */
export const SECRET_BYTES = 32

/** @returns a secret of 384 random bits */
export function newSecret(): string {
  return randomBytes(48).toString('base64url')
}

/**
 * @param dataDir the folder that it lies in
 * @returns none where there is no file
 * @throws OperatorFault when the file is there but cannot be used
 */
export function readSecretFile(dataDir: string): readonly string[] {
  const path = pathIn(dataDir)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new OperatorFault(
      `The secret in ${path} cannot be read: ${(error as Error).message}.`,
      'Let the user who starts Gatehouse read the file.',
      { cause: error },
    )
  }
  const secrets = text.trim().split(/\s*\n\s*/)
  if (secrets.every((secret) => Buffer.byteLength(secret) >= SECRET_BYTES)) return secrets
  throw new OperatorFault(
    `The secret in ${path} is too short: the file is damaged.`,
    'Restore the file from a backup. Nothing was changed.',
  )
}

/**
 * Puts these secrets in the place of those in the file, readable by its owner alone.
 * @returns when they are whole and on the disk: no ring that one of them wraps must outlive it
 */
export function writeSecretFile(dataDir: string, secrets: readonly string[]): void {
  const path = pathIn(dataDir)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const before = statSync(path, { throwIfNoEntry: false })
  writeFileSync(`${path}.new`, `${secrets.join('\n')}\n`, { mode: 0o600, flush: true })
  // Written by root, it is still the file of whoever runs the server.
  if (before && process.getuid?.() === 0) chownSync(`${path}.new`, before.uid, before.gid)
  renameSync(`${path}.new`, path)
  const folder = openSync(dataDir, 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function pathIn(dataDir: string): string {
  return join(dataDir, 'secret.key')
}
