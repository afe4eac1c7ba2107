// From a folder to an open connection: join the server that runs, or start one, and let PostgreSQL's own lock decide when
// several try at once. No log line is parsed on the way.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorFault } from '../vocabulary/fault.ts'
import { findBinaries } from './binaries.ts'
import { initialize } from './initialize.ts'
import { logSize, tailLog } from './log.ts'
import type { Place } from './place.ts'
import { readPostmasterFile } from './postmaster.ts'
import { markProcess, type ProcessMark, pidExists } from './processes.ts'
import { type ServerProcess, startServer } from './server.ts'
import { closeSession, openSession, type Session } from './session.ts'
import { makeSocketFolder } from './socket.ts'

export interface Reached {
  readonly session: Session
  readonly socket: string
  readonly server: ProcessMark
  /** the server process, if it is our child */
  readonly child: ServerProcess | undefined
}

// Milliseconds. After a crash the lock can look taken for about two seconds: the dead process is not reaped yet, or its
// children hold the shared memory. A server that recovers from its WAL answers meanwhile (57P03), and is waited for.
const POLL = 15
const BETWEEN_STARTS = 200
const LOCK_PATIENCE = 5_000
const FAILURE_PATIENCE = 2_000
const RECOVERY_PATIENCE = 300_000
const SILENCE = 3_000

/**
 * @param now milliseconds of a clock that only goes forward; `say` is told once if it takes long
 * @throws OperatorFault with the end of the server's log if it does not come up
 */
export async function reachServer(
  { now, say }: { now: () => number; say: (line: string) => void },
  place: Place,
  noSync: boolean,
): Promise<Reached> {
  const binaries = once(() => findBinaries(place))
  const logStart = await logSize(place.log)
  let begin = now()
  let starts = 0
  let child: ServerProcess | undefined
  let nextStart = begin
  let failures = 0
  let silent = true
  try {
    for (;;) {
      const lock = await readPostmasterFile(place.data)
      const ours = lock?.data === place.data ? lock : undefined
      const socket = ours?.socket || (await makeSocketFolder(place))
      const answer = await tryConnect(socket, place)
      if (typeof answer === 'object') {
        const server = markProcess(answer.pid)
        const reached = { session: answer, socket, server, child: child?.pid === answer.pid ? child : undefined }
        child = reached.child
        return reached
      }
      const waited = now() - begin
      if (silent && waited > SILENCE) {
        silent = false
        say(`Waiting for the database in ${place.data} (its log: ${place.log})`)
      }
      const held = lock !== undefined && pidExists(lock.pid)
      if (child && !child.alive()) {
        child = undefined
        nextStart = now() + BETWEEN_STARTS
        if (!held) failures += 1
        if (failures >= 3 && waited > FAILURE_PATIENCE) throw await failedToStart(place, logStart)
      }
      if (waited > (answer === 'busy' || child ? RECOVERY_PATIENCE : LOCK_PATIENCE)) {
        throw held && !child ? await lockHeld(place, lock.pid) : await failedToStart(place, logStart)
      }
      // A live process behind the lock is most likely a server about to answer: give it a moment before trying beside it.
      if (!child && answer === 'absent' && now() >= nextStart && !(ours && held && waited < 2 * BETWEEN_STARTS)) {
        await initialize({ binaries }, place, noSync)
        child = await startServer({ binaries }, place, noSync)
        if (starts === 0) begin = now() // initdb may have taken long; patience is for servers
        starts += 1
      }
      await sleep(POLL)
    }
  } catch (error) {
    if (child?.alive()) child.child.kill('SIGINT')
    throw error
  }
}

async function tryConnect(socket: string, { data, user }: Place): Promise<Session | 'absent' | 'busy'> {
  try {
    const session = await openSession(socket)
    if (session.data === data) return session
    await closeSession(session)
    throw new OperatorFault(
      `The socket in ${socket} belongs to the database in ${session.data}, not to the one in ${data}.`,
      'Stop that server, or set GATEHOUSE_DATA_DIR to another folder.',
    )
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'absent'
    if (code === '28000') {
      throw new OperatorFault(
        `The database in ${data} runs as ${user.name} and does not know the user who is asking.`,
        'Use the same operating system user as the Gatehouse that started it, or root.',
        { cause: error },
      )
    }
    // Starting, stopping, recovering (class 57), full (53), or gone in the middle of the handshake.
    if (code === undefined ? !(error instanceof OperatorFault) : /^5[37]|^ECONNRESET$|^EPIPE$/.test(code)) return 'busy'
    throw error
  }
}

async function lockHeld({ data }: Place, pid: number): Promise<OperatorFault> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
  const who = name ? `${pid} (${name.trim()})` : `${pid}`
  return new OperatorFault(
    `The database in ${data} is locked by process ${who}, which does not answer as its server.`,
    `If that process is a PostgreSQL server, stop it. If it is another program that was given the old number, or the folder is a copy, delete ${data}/postmaster.pid and start again.`,
  )
}

async function failedToStart({ log }: Place, from: number): Promise<OperatorFault> {
  return new OperatorFault(
    `The database server did not start. The end of its log (${log}):\n${await tailLog(log, from)}`,
    'Mend what the log names: free space on a full disk, or restore the data folder from a backup if it is damaged.',
  )
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
