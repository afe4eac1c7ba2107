// Keeps the ring of this process at the one in the database. A version is published before it is used (`secrets/rekey.ts`), so
// a process that has looked within the last second knows every version that a value brought to it can carry.
import { Problem } from '../http/problem.ts'
import type { HeldRing } from './key-ring.ts'
import { type OpenedRow, openRow, type RingRow } from './ring-row.ts'

/** The oldest that what this process knows of the ring may be, in milliseconds; a change waits longer between its two steps. */
export const RING_STALE_AFTER = 1000

export interface FollowParts {
  readonly ring: HeldRing
  /** what the ring was opened from */
  readonly opened: Pick<OpenedRow, 'revision'>
  readonly read: () => Promise<RingRow | undefined>
  readonly secrets: () => readonly string[]
  /** names what the database holds, while somebody can vouch for that; the same name, the same ring */
  readonly vouched: () => string | undefined
  /** @param listener is called when the ring may have changed: what runs between requests needs it, too */
  readonly onChange: (listener: () => Promise<void>) => void
  /** milliseconds of a clock that only goes forward */
  readonly clock: () => number
  /** hears once of each ring that the secrets of this process do not open */
  readonly report: (error: unknown) => void
}

export interface FollowedRing {
  /**
   * Looks again when it has not for too long; for the beginning of each request.
   * @throws Problem 503 when the ring was changed and this process cannot open it: what it would say of newer values is wrong
   */
  refresh(): Promise<void>
}

/** @returns how a process follows the ring; from now on `ring.missed` throws while the process may be behind */
export function followRing(parts: FollowParts): FollowedRing {
  const { ring, opened, read, secrets, vouched, clock, report } = parts
  let revision = opened.revision
  /** a revision that our secrets do not open */
  let closed: number | undefined
  let confirmed: { vouched: string | undefined; at: number } = { vouched: undefined, at: clock() }
  let reading: Promise<void> | undefined

  const isFresh = () => {
    const name = vouched()
    return name === undefined ? clock() - confirmed.at < RING_STALE_AFTER : name === confirmed.vouched
  }

  async function readAgain(): Promise<void> {
    const before = { vouched: vouched(), at: clock() }
    const row = await read()
    if (row && row.revision !== revision) take(row)
    else closed = undefined
    confirmed = before
  }

  function take(row: RingRow): void {
    try {
      ring.take(openRow(row, secrets()).keys)
      revision = row.revision
      closed = undefined
    } catch (error) {
      if (closed !== row.revision) report(error)
      closed = row.revision
    }
  }

  ring.onMissed(() => {
    if (!isFresh()) throw behind('the ring was not looked at for too long')
  })
  /** Without a database nothing can be looked up either; until it is back, the answers that need none are given. */
  async function look(): Promise<void> {
    if (isFresh()) return
    reading ??= readAgain().finally(() => {
      reading = undefined
    })
    await reading.catch(() => undefined)
  }

  parts.onChange(look)
  return {
    async refresh() {
      await look()
      if (closed !== undefined) throw behind('the ring is wrapped under a secret that this process does not have')
    },
  }
}

function behind(detail: string): Problem {
  return new Problem(503, 'temporarily_unavailable', 'The server is not ready for this yet.', {
    detail,
    headers: { 'Retry-After': '2' },
  })
}
