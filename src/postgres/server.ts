// The server process: started apart from us (own process group, own log), so neither Ctrl-C nor our death reaches it.
import { type ChildProcess, spawn } from 'node:child_process'
import { writeAccess } from './access.ts'
import type { Binaries } from './binaries.ts'
import { cannotRun } from './initialize.ts'
import { boundLog, openLog } from './log.ts'
import type { Place } from './place.ts'
import { serverEnvironment, serverSettings } from './settings.ts'
import { makeSocketFolder } from './socket.ts'

export interface ServerProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** false from the moment it exited */
  alive(): boolean
}

/**
 * Starts `postgres` on files that exist; whether it gets the lock, the caller sees by connecting.
 * @throws OperatorFault if the program cannot be run
 */
export async function startServer(
  { binaries }: { binaries: () => Promise<Binaries> },
  place: Place,
  noSync: boolean,
): Promise<ServerProcess> {
  const { postgres } = await binaries()
  const socket = await makeSocketFolder(place)
  const settings = serverSettings({ socket, ...(await writeAccess(place)) }, noSync)
  await boundLog(place.log)
  const log = await openLog(place.log)
  try {
    const child = spawn(postgres, ['-D', place.data, ...settings], {
      ...(place.user.switched ? { uid: place.user.uid, gid: place.user.gid } : {}),
      cwd: '/',
      env: serverEnvironment(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    let alive = true
    child.once('exit', () => (alive = false))
    await new Promise<void>((done, fail) => {
      child.once('spawn', done)
      child.once('error', (error) => fail(cannotRun(postgres, error)))
    })
    child.unref()
    return { child, pid: child.pid!, alive: () => alive }
  } finally {
    await log.close()
  }
}
