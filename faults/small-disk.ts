// A disk of a few megabytes that can be filled and emptied: a file system in memory, for root alone.
import { execFile } from 'node:child_process'
import { closeSync, mkdirSync, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface SmallDisk {
  readonly folder: string
  /** Takes all that is left. */
  fill(): void
  /** Gives back what `fill` took. */
  free(): void
  /** bytes that are left */
  left(): number
  /** Takes it away, and all that lies on it. */
  remove(): Promise<void>
}

const run = promisify(execFile)
const BALLAST = 'ballast'

/**
 * @param folder made if it is not there
 * @param owner whose it is
 */
export async function mountSmallDisk(
  folder: string,
  megabytes: number,
  owner: { readonly uid: number; readonly gid: number } = { uid: 0, gid: 0 },
): Promise<SmallDisk> {
  mkdirSync(folder, { recursive: true })
  const options = `size=${megabytes}m,mode=0700,uid=${owner.uid},gid=${owner.gid}`
  await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  // Beside what others keep there, on the same file system: initdb takes empty folders only.
  const ballast = join(folder, BALLAST)
  const left = () => {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  }
  return {
    folder,
    left,
    fill() {
      const file = openSync(ballast, 'a')
      try {
        for (const chunk = Buffer.alloc(64 * 1024); ; ) writeSync(file, chunk)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    free: () => unlinkSync(ballast),
    remove: () => run('umount', ['--lazy', folder]).then(() => undefined),
  }
}
