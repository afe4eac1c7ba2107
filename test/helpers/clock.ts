// A clock that a test turns forward. Only `Date` is ours; timers and sockets run on as ever.
import { jest } from '@jest/globals'

const REAL = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
  'setTimeout',
  'clearTimeout',
] as const

/** Stops the clock of this test file's server and browser at the present. Undo with `releaseClock`. */
export function holdClock(): void {
  jest.useFakeTimers({ now: Date.now(), doNotFake: [...REAL] })
}

/** Turns a held clock forward. */
export function passSeconds(seconds: number): void {
  jest.setSystemTime(Date.now() + seconds * 1000)
}

export function releaseClock(): void {
  jest.useRealTimers()
}
