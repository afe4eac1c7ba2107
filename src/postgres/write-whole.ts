// Small files that several processes read while one writes: seen old or new, never half.

import { randomUUID } from 'node:crypto'
import { lchown, link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes `text` to a new file and moves it into place. Written by root, it belongs to whoever owns the folder, who must be
 * able to go on without root.
 * @param options `once`: leave an existing file alone; `durable`: wait until it is on the disk
 * @returns false if `once` found a file
 */
export async function writeWhole(
  path: string,
  text: string,
  options: { once?: boolean; durable?: boolean } = {},
): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`
  try {
    const file = await open(draft, 'wx', 0o644)
    try {
      await file.writeFile(text)
      await file.chmod(0o644) // whatever the umask: the server reads some of them, as another user
      if (options.durable) await file.sync()
    } finally {
      await file.close()
    }
    await giveToFolderOwner(draft)
    if (!options.once) {
      await rename(draft, path)
      return true
    }
    return await link(draft, path).then(
      () => true,
      (error) => {
        if (error.code === 'EEXIST') return false
        throw error
      },
    )
  } finally {
    await rm(draft, { force: true })
  }
}

/** As root, hands a file we made to the owner of the folder it lies in. */
export async function giveToFolderOwner(path: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const folder = await lstat(dirname(path))
  if (folder.uid !== 0) await lchown(path, folder.uid, folder.gid)
}
