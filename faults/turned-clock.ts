// Clocks of processes that an experiment turns while they run: libfaketime reads the difference from a file at each look. The clock
// that measures spans of time is left alone, as it is on a machine whose clock is set.
import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { libfaketime } from './needs.ts'

export interface TurnedClock {
  /** what a process needs to go by it */
  readonly env: Readonly<Record<string, string>>
  /** @param seconds by which it is ahead of this machine's from now on; negative for behind */
  turn(seconds: number): void
}

/**
 * @param folder of the experiment; whoever runs as somebody else can read what is in it from now on, knowing its name
 * @param name of the file
 */
export function makeTurnedClock(folder: string, name: string): TurnedClock {
  chmodSync(folder, 0o711)
  const path = join(folder, `${name}.clock`)
  // Whole or not at all: whoever finds half a number ends.
  const turn = (seconds: number) => {
    writeFileSync(`${path}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`, { mode: 0o644 })
    renameSync(`${path}.new`, path)
  }
  turn(0)
  return {
    turn,
    env: {
      LD_PRELOAD: libfaketime()!,
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    },
  }
}
