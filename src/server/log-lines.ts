// Where log lines go. A log that cannot be written stops nobody: what a full disk does not take is lost and counted, and so is
// what nobody reads.
import { writeSync } from 'node:fs'

/** Milliseconds for which a reader who is behind is waited for, once; until he has caught up nobody waits again. */
const PATIENCE = 1000
const PAUSE = 5

export interface LogLines {
  /** @param line with its newline */
  write(line: string): void
}

/**
 * @param put writes the beginning of what it is given. @returns how many bytes that were @throws when it cannot write
 * @param telling makes the line that says how many were lost
 */
export function createLogLines(put: (bytes: Buffer) => number, telling: (lost: number) => string): LogLines {
  /** of a line that was begun: it is finished before there is another one */
  let rest: Buffer = Buffer.alloc(0)
  let lost = 0
  let waits = true

  function putAll(bytes: Buffer): Buffer {
    let left = bytes
    let waited = 0
    while (left.length > 0) {
      try {
        left = left.subarray(put(left))
        waits = true
      } catch (error) {
        const busy = (error as NodeJS.ErrnoException).code === 'EAGAIN'
        if (!busy || !waits || waited >= PATIENCE) {
          waits &&= !busy
          return left
        }
        // Standard error is a pipe that is full. There is nothing to do meanwhile that would not log, too.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
        waited += PAUSE
      }
    }
    return left
  }

  /** @returns whether the line is out, or at least begun */
  function putLine(line: string): boolean {
    if (rest.length > 0) rest = putAll(rest)
    if (rest.length > 0) return false
    const bytes = Buffer.from(line)
    const left = putAll(bytes)
    if (left.length === bytes.length) return false
    rest = left
    return true
  }

  return {
    write(line) {
      if (lost > 0 && putLine(telling(lost))) lost = 0
      if (lost > 0 || !putLine(line)) lost += 1
    },
  }
}

/** @returns lines on standard error */
export function standardError(telling: (lost: number) => string): LogLines {
  return createLogLines((bytes) => writeSync(2, bytes), telling)
}
