// The file that takes the secrets of an apply: made new, for its owner's eyes only, never written over.
import { type FileHandle, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'

export interface SecretsFile {
  readonly path: string
  /** Writes everything and waits until it is on the disk. */
  write(content: object): Promise<void>
  /** Removes the file, unless everything was written. @returns whether it is still there */
  discardUnwritten(): Promise<boolean>
}

/**
 * Makes the file, empty, with mode 0600, so that nothing has to be undone when it cannot be made.
 * @throws OperatorFault when there is something at `path` already, or the file cannot be made
 */
export async function reserveSecretsFile(path: string): Promise<SecretsFile> {
  const handle = await create(path)
  let written = false
  return {
    path,

    async write(content) {
      await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`)
      await handle.sync()
      await handle.close()
      await syncFolder(dirname(path))
      written = true
    },

    async discardUnwritten() {
      if (written) return true
      await handle.close().catch(() => undefined)
      await rm(path, { force: true })
      return false
    },
  }
}

async function create(path: string): Promise<FileHandle> {
  try {
    // "wx" fails on anything that is there, a symbolic link included. chmod, because the umask may take bits away.
    const handle = await open(path, 'wx', 0o600)
    await handle.chmod(0o600)
    return handle
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new OperatorFault(
        `${path} is there already, and a secrets file is never overwritten.`,
        'Name another file with --secrets, or move that one away. Nothing was changed.',
      )
    }
    throw new OperatorFault(
      `The secrets file ${path} cannot be made: ${error instanceof Error ? error.message : String(error)}.`,
      'Name a file in a folder that you may write to. Nothing was changed.',
      { cause: error },
    )
  }
}

// A new name is on the disk only when its folder is. Some file systems cannot do that; the content was synced all the same.
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}
