// Folders under construction: made beside their final place, moved there whole, swept away when their maker died.
import { randomBytes } from 'node:crypto'
import { lchown, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isRunning, markProcess } from './processes.ts'
import type { ServerUser } from './user.ts'

const SCRATCH = /\.making-(\d+)-(\d*)-[0-9a-f]+$/

/**
 * Builds a folder out of sight, then renames it to `target`; if another process was first, ours is thrown away.
 * @param owner who owns the folder, mode 0700, while `build` fills it
 */
export async function buildFolder(
  target: string,
  owner: ServerUser,
  build: (scratch: string) => Promise<void>,
): Promise<void> {
  const me = markProcess(process.pid)
  const scratch = `${target}.making-${me.pid}-${me.start ?? ''}-${randomBytes(4).toString('hex')}`
  await mkdir(scratch, { mode: 0o700 })
  try {
    if (owner.switched) await lchown(scratch, owner.uid, owner.gid)
    await build(scratch)
    await rename(scratch, target).catch((error) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Deletes what dead processes left unfinished in `folder`. */
export async function sweepScratch(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    const found = SCRATCH.exec(entry)
    if (!found || isRunning({ pid: Number(found[1]), start: found[2] || null })) continue
    // An initdb that outlived its parent may still be writing; what it leaves is swept by the next start.
    await rm(join(folder, entry), { recursive: true, force: true, maxRetries: 2 }).catch(() => undefined)
  }
}
