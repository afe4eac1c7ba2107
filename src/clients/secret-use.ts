// When secrets were last used. A use is a note in memory; notes are written together, outside of any request, so that
// authenticating a client stays a read.
import type { ClientSecretStore } from './secret-store.ts'

const EVERY_MS = 60_000

export interface SecretUse {
  /** Notes a use, now. */
  note(secretId: string): void
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
  store: Pick<ClientSecretStore, 'noteUses'>
  now: () => Date
}): SecretUse {
  const noted = new Map<string, Date>()

  async function flush(): Promise<void> {
    if (noted.size === 0) return
    const written = new Map(noted)
    await store.noteUses(written)
    for (const [id, at] of written) if (noted.get(id) === at) noted.delete(id)
  }

  return {
    note(secretId) {
      noted.set(secretId, now())
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
