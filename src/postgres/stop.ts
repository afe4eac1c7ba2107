// Ends this process's use of the database, and the server too if it is ours to stop.
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorFault } from '../vocabulary/fault.ts'
import { giveUpOwnership, mayStop, type Owner } from './owner.ts'
import type { Place } from './place.ts'
import { readPostmasterFile } from './postmaster.ts'
import { isRunning, markProcess, type ProcessMark } from './processes.ts'
import { closeSession, countOthers, openSession, type Session, whileDeciding } from './session.ts'

/** Milliseconds until a fast shutdown (SIGINT) becomes an immediate one (SIGQUIT), and until that counts as failed. */
const PATIENCE = { fast: 10_000, immediate: 5_000 }

/**
 * A server that Gatehouse's own server owns ends with it. One that commands own ends with the last of them: a command that
 * finishes first must not take the database from the others.
 * @param known the server this process connected to at its launch
 * @throws OperatorFault if the server is ours and cannot be stopped
 */
export async function stopDatabase(
  { session, socket, me }: { session: Session; socket: string; me: Owner },
  place: Place,
  known: ProcessMark,
): Promise<void> {
  const open = await usableSession(session, socket)
  if (!open || !(await stopIfLast(open, me))) await stopSilentServer(place, me, known)
}

/** @returns false if the connection broke before that was decided */
async function stopIfLast(session: Session, me: Owner): Promise<boolean> {
  try {
    await whileDeciding(session, async () => {
      if (!(await mayStop(me))) return
      const others = me.role === 'command' ? await countOthers(session) : 0
      await giveUpOwnership(me.base)
      if (others === 0) await endServer(markProcess(session.pid))
    })
    return true
  } catch (error) {
    if (error instanceof OperatorFault) throw error
    return false
  } finally {
    await closeSession(session)
  }
}

/** The connection of the launch is gone if the server was restarted since: then a new one. */
async function usableSession(session: Session, socket: string): Promise<Session | undefined> {
  session.client.ref()
  try {
    await session.client.query('select 1')
    return session
  } catch {
    await closeSession(session)
    return openSession(socket).catch(() => undefined)
  }
}

/** Nobody answers: the server is down, which is all we want, or hangs, and then it must be the very process we knew. */
async function stopSilentServer({ base, data }: Place, me: Owner, known: ProcessMark): Promise<void> {
  if (!(await mayStop(me))) return
  await giveUpOwnership(base)
  const lock = await readPostmasterFile(data).catch(() => undefined)
  if (lock?.pid === known.pid && isRunning(known)) await endServer(known)
}

async function endServer(server: ProcessMark): Promise<void> {
  for (const [signal, patience] of [
    ['SIGINT', PATIENCE.fast],
    ['SIGQUIT', PATIENCE.immediate],
  ] as const) {
    if (!isRunning(server)) return
    process.kill(server.pid, signal)
    for (let waited = 0; waited < patience && isRunning(server); waited += 10) await sleep(10)
  }
  if (!isRunning(server)) return
  throw new OperatorFault(
    `The database server (process ${server.pid}) does not stop.`,
    `Look at what holds it up, then stop it by hand ("kill -QUIT ${server.pid}"); committed data is safe.`,
  )
}
