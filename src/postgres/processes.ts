// Who is still alive? A pid alone may have been given to another process since; a pid with its start time has not.
import { readFileSync } from 'node:fs'

export interface ProcessMark {
  readonly pid: number
  /** clock ticks since boot at which it started, from /proc; null where there is no /proc (macOS): then the pid alone counts */
  readonly start: string | null
}

/** @returns the mark by which this process can be recognised later */
export function markProcess(pid: number): ProcessMark {
  return { pid, start: readStat(pid)?.start ?? null }
}

/** @returns true while that very process runs; one that has ended but was not reaped yet counts as ended */
export function isRunning(mark: ProcessMark): boolean {
  if (!pidExists(mark.pid)) return false
  const stat = readStat(mark.pid)
  if (!stat) return true
  if (stat.state === 'Z' || stat.state === 'X') return false
  return mark.start === null || mark.start === stat.start
}

/** @returns true if the pid is taken, even by a process that waits to be reaped: this is how PostgreSQL judges its lock */
export function pidExists(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function readStat(pid: number): { state: string; start: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc_pid_stat(5): the second field is the name in parentheses and may hold spaces; state is the third, start the 22nd.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state, start] = [fields[0], fields[19]]
    return state && start ? { state, start } : undefined
  } catch {
    return undefined
  }
}
