// Which operating system user the server runs as. PostgreSQL refuses to run as root, so root hands it to a dedicated user
// `gatehouse` where one exists, else to `nobody`, whose other processes could then read the data. A database that exists
// stays with the user who owns it.
import { lstat, readFile, realpath, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'

export interface ServerUser {
  readonly uid: number
  readonly gid: number
  readonly name: string
  /** true when we are root and the server is started as somebody else */
  readonly switched: boolean
}

/**
 * @param data the PostgreSQL data folder, which need not exist
 * @throws OperatorFault for a user without a name (PostgreSQL wants one), or root without anybody to switch to
 */
export async function findServerUser(data: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return ownUser()
  const users = await listUsers()
  const owner = await lstat(data).catch(() => undefined)
  if (owner && owner.uid !== 0) {
    const found = users.find((user) => user.uid === owner.uid)
    if (found) return found
    throw new OperatorFault(
      `The database in ${data} belongs to user ${owner.uid}, who has no entry in /etc/passwd.`,
      'Start Gatehouse as that user, or give the folder to a user with a name ("chown -R gatehouse").',
    )
  }
  const found = ['gatehouse', 'nobody'].map((name) => users.find((user) => user.name === name)).find(Boolean)
  if (found) return found
  throw new OperatorFault(
    'PostgreSQL does not run as root, and there is neither a user "gatehouse" nor a user "nobody" to run it as.',
    'Make one ("useradd --system gatehouse"), start Gatehouse as an ordinary user, or set DATABASE_URL.',
  )
}

/** @returns true if the user may walk to `folder` from the root of the file system (by mode bits; access lists are not read) */
export async function canPass(folder: string, user: ServerUser): Promise<boolean> {
  for (let path = await realpath(folder); ; path = dirname(path)) {
    const { mode, uid, gid } = await stat(path)
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return false
    if (path === dirname(path)) return true
  }
}

function ownUser(): ServerUser {
  try {
    const { uid, gid, username } = userInfo()
    return { uid, gid, name: username, switched: false }
  } catch (error) {
    throw new OperatorFault(
      `The user id ${process.getuid?.()} has no name on this machine (no entry in /etc/passwd), and PostgreSQL needs one.`,
      'Run as a user that exists, in a container by adding a passwd entry, or set DATABASE_URL.',
      { cause: error },
    )
  }
}

async function listUsers(): Promise<readonly ServerUser[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 7)
    .map(([name, , uid, gid]) => ({ name: `${name}`, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0, switched: true }))
    .filter((user) => user.uid !== 0)
}
