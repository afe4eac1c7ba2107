// Notes in memory when secrets were used, and which can be hashed under the newest ring version. They are written together once
// a minute, so that authenticating a client stays a read.
import type { ClientSecretStore, VersionedHash } from './secret-store.ts'

const EVERY_MS = 60_000

export interface SecretUse {
  /** Notes a use, now. */
  note(secretId: string): void
  /** Notes that the secret can be kept under a newer hash. */
  noteHash(secretId: string, newest: VersionedHash): void
  /** Writes what was noted since the last time. What could not be written is kept for the next. */
  flush(): Promise<void>
  /**
   * Writes once a minute from now on.
   * @param report hears of each time that failed
   * @returns what ends it: what is noted by then is written
   */
  start(report: (error: unknown) => void): { stop(): Promise<void> }
}

/** @returns the notes of one process */
export function createSecretUse({
  store,
  now,
}: {
  store: Pick<ClientSecretStore, 'noteUses' | 'rehash'>
  now: () => Date
}): SecretUse {
  const noted = new Map<string, Date>()
  const hashes = new Map<string, VersionedHash>()

  async function flush(): Promise<void> {
    await flushOf(noted, store.noteUses)
    await flushOf(hashes, store.rehash)
  }

  return {
    note(secretId) {
      noted.set(secretId, now())
    },
    noteHash(secretId, newest) {
      hashes.set(secretId, newest)
    },
    flush,
    start(report) {
      const timer = setInterval(() => void flush().catch(report), EVERY_MS)
      timer.unref()
      return {
        async stop() {
          clearInterval(timer)
          await flush().catch(report)
        },
      }
    },
  }
}

async function flushOf<T>(
  noted: Map<string, T>,
  write: (noted: ReadonlyMap<string, T>) => Promise<void>,
): Promise<void> {
  if (noted.size === 0) return
  const written = new Map(noted)
  await write(written)
  for (const [id, one] of written) if (noted.get(id) === one) noted.delete(id)
}
