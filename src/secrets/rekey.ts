// Changes the key ring while servers run. Every step is one transaction, and after each of them, whether or not the next one
// follows, every secret that may be in use opens the ring, and every process can read what the others make.
import type { Db, UnitOfWork } from '../db/unit-of-work.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { RING_STALE_AFTER } from './follow-ring.ts'
import type { HeldRing } from './key-ring.ts'
import { nextVersion, type RingKeys, withNextInUse, withNextVersion, withoutVersions } from './ring-keys.ts'
import { changeRow, newRevision, type OpenedRow, writeRow } from './ring-row.ts'
import { newSecret } from './secret-file.ts'
import { type Lifetimes, type Need, stillNeeded } from './still-needed.ts'

export interface RekeyParts {
  readonly unit: UnitOfWork
  readonly ring: HeldRing
  readonly secrets: () => readonly string[]
  /** puts secrets in the place of those in secret.key; absent where they come from the environment */
  readonly writeSecrets?: (secrets: readonly string[]) => void
  /** seal everything again that was sealed under an older version; each says how many that were */
  readonly reseal: readonly (() => Promise<number>)[]
  readonly lifetimes: Lifetimes
  readonly audit: (entry: {
    kind: 'ring.rewrapped' | 'ring.version-added' | 'ring.version-used' | 'ring.version-dropped'
    actor: string
    subject?: string
    detail?: Record<string, unknown>
  }) => Promise<void>
  readonly now: () => Date
  readonly sleep: (milliseconds: number) => Promise<unknown>
}

/** `actor` is who acts, as in the audit. */
export interface Rekey {
  /** Wraps the ring under the first secret. @returns the place in the list, from 1, of the one it was under before */
  rewrap(actor: string): Promise<{ was: number; of: number }>
  /** Makes a new secret for an embedded database. @throws OperatorFault where the secret comes from the environment */
  makeSecret(actor: string): Promise<void>
  /**
   * Adds a version with new keys, lets every process know it, then uses it for everything new, and seals again what is sealed.
   * One that was interrupted is gone on with.
   */
  addVersion(actor: string): Promise<{ version: number; resealed: number }>
  /**
   * Drops the versions that nothing needs any more; with `evenIfNeeded` all but the current one, and what needs them ends.
   * @returns `needed` tells by what the others are needed
   */
  dropOld(actor: string, evenIfNeeded: boolean): Promise<{ dropped: readonly number[]; needed: readonly Need[] }>
}

/** @returns what changes the ring */
export function createRekey(parts: RekeyParts): Rekey {
  const { ring, audit, now, sleep, writeSecrets } = parts

  /** Changes the keys; whoever follows the ring takes them. */
  const changeKeys = (change: (keys: RingKeys, db: Db) => Promise<RingKeys>) =>
    changeRow(parts, async ({ keys, secret }, db) => {
      ring.take(keys)
      const next = await change(keys, db)
      if (next !== keys) await writeRow(db, { keys: next, secret, revision: newRevision(), now: now() })
      return next
    }).then((keys) => {
      ring.take(keys)
      return keys
    })

  /** Leaves one secret in the file when no other is of use any more. */
  const tidySecrets = () =>
    changeRow(parts, async ({ secret, known }) => {
      if (writeSecrets && known.length > 1) writeSecrets([secret])
    })

  const rewrapUnder = async (secret: string, { keys, revision }: OpenedRow, db: Db, actor: string) => {
    await writeRow(db, { keys, secret, revision, now: now() })
    await audit({ kind: 'ring.rewrapped', actor })
  }

  const reseal = async () => {
    let count = 0
    for (const again of parts.reseal) count += await again()
    return count
  }

  return {
    async rewrap(actor) {
      const done = await changeRow(parts, async (opened, db) => {
        if (opened.place > 0) await rewrapUnder(opened.known[0]!, opened, db, actor)
        return { was: opened.place + 1, of: opened.known.length }
      })
      await tidySecrets()
      return done
    },

    async makeSecret(actor) {
      if (!writeSecrets) {
        throw new OperatorFault(
          'The secret comes from GATEHOUSE_SECRET, which is not ours to change.',
          'Put a new one in front of it ("new,old") on every node, then run "rekey" without an option. Nothing was changed.',
        )
      }
      await changeRow(parts, async (opened, db) => {
        const secret = newSecret()
        writeSecrets([secret, opened.secret])
        await rewrapUnder(secret, opened, db, actor)
      })
      await tidySecrets()
    },

    async addVersion(actor) {
      const published = await changeKeys(async (keys) => {
        const next = withNextVersion(keys, now())
        const subject = String(nextVersion(next)!.id)
        if (next !== keys) await audit({ kind: 'ring.version-added', actor, subject })
        return next
      })
      const ready = nextVersion(published)!.id
      // By then every process that answers requests knows the version, or says that it cannot answer.
      await sleep(2 * RING_STALE_AFTER)
      const { current } = await changeKeys(async (keys) => {
        // Somebody else may have used it meanwhile, and published another, for which nobody has waited yet.
        if (nextVersion(keys)?.id !== ready) return keys
        const next = withNextInUse(keys, now())
        await audit({ kind: 'ring.version-used', actor, subject: String(next.current) })
        return next
      })
      // And by then nobody seals under the one before.
      await sleep(2 * RING_STALE_AFTER)
      return { version: current, resealed: await parts.unit.run(reseal) }
    },

    async dropOld(actor, evenIfNeeded) {
      const needed: Need[] = []
      const dropped: number[] = []
      await changeKeys(async (keys, db) => {
        const resealed = await reseal()
        for (const [at, { id }] of keys.versions.entries()) {
          if (id >= keys.current) continue
          const replacedAt = new Date(keys.versions[at + 1]!.usedFrom!)
          const needs = await stillNeeded(db, { version: id, replacedAt, lifetimes: parts.lifetimes, now: now() })
          needed.push(...needs)
          if (needs.length === 0 || evenIfNeeded) dropped.push(id)
        }
        for (const id of dropped) {
          const ends = needed.filter(({ version }) => version === id)
          await audit({ kind: 'ring.version-dropped', actor, subject: String(id), detail: { resealed, ends } })
        }
        return dropped.length > 0 ? withoutVersions(keys, dropped) : keys
      })
      return { dropped, needed: needed.filter(({ version }) => evenIfNeeded || !dropped.includes(version)) }
    },
  }
}
