// How much CPU time processes have used, as Linux counts it.
import { readFileSync } from 'node:fs'

/** Of `utime` and `stime` in /proc/<pid>/stat (proc(5)); 100 on every Linux of the last twenty years. */
const TICKS_PER_SECOND = 100

/** @returns milliseconds in user and system mode of those that still live; resolution 10 ms */
export function cpuOf(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    let stat: string
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    } catch {
      continue // it has just ended
    }
    // The name in parentheses may have spaces and parentheses of its own; utime is the 12th field after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return (ticks * 1000) / TICKS_PER_SECOND
}
