// The folder of the unix socket: private to the server's user (0700), and short, for a socket's address has little room.
import { createHash } from 'node:crypto'
import { chmod, lchown, lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'
import type { Place } from './place.ts'

export const PORT = 5432

/** sun_path of unix(7) is 108 bytes with its end mark; macOS has 104. */
const LONGEST = process.platform === 'darwin' ? 103 : 107

/**
 * @returns the socket folder, made if it is not there: beside the database if its path is short enough, else in the
 *   folder for temporary files under a name that belongs to this database and user alone
 * @throws OperatorFault for a folder that somebody else made there
 */
export async function makeSocketFolder({ base, data, user }: Place): Promise<string> {
  const hash = createHash('sha256').update(`${user.uid}:${data}`).digest('hex').slice(0, 16)
  // Root's own TMPDIR may be closed to the server's user; /tmp is open to all.
  const elsewhere = user.switched ? ['/tmp'] : [tmpdir(), '/tmp']
  const candidates = [join(base, 'socket'), ...elsewhere.map((path) => join(path, `gatehouse-${hash}`))]
  const folder = candidates.find((path) => Buffer.byteLength(`${path}/.s.PGSQL.${PORT}`) <= LONGEST)
  if (!folder) throw new Error('no candidate for the socket folder is short enough')
  await mkdir(folder, { mode: 0o700 }).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(folder)
  const ours = found.uid === user.uid || (user.switched && found.uid === 0)
  if (!found.isDirectory() || !ours) {
    throw new OperatorFault(
      `${folder}, where the socket of the database belongs, was made by another user (${found.uid}).`,
      'Delete it, or set TMPDIR or GATEHOUSE_DATA_DIR to a shorter path of your own.',
    )
  }
  if (user.switched && found.uid !== user.uid) await lchown(folder, user.uid, user.gid)
  if ((found.mode & 0o777) !== 0o700) await chmod(folder, 0o700)
  return folder
}
