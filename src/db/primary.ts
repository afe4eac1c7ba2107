// Only the primary is used, and only one of the newest timeline: a standby knows less than was promised, and an old primary
// that was cut off or came back does not know what its successor has promised since.
import type { ClientBase } from 'pg'
import { meetPrimary } from './meet-primary.ts'
import { outage } from './outage.ts'

export interface PrimaryWatch {
  /**
   * Asks a new connection where it leads, and remembers it. On another primary than the last one, what may be used once is ended
   * before the connection is used.
   * @throws an outage with code 08004 for a standby, and for a primary of an older timeline than this process has seen
   */
  check(client: ClientBase): Promise<void>
  /** @returns false once a newer timeline than that of this connection has been seen: then it is not used any more */
  isCurrent(client: ClientBase): boolean
}

interface Whereabouts {
  readonly standby: boolean
  /** name of the log file being written, which begins with the timeline in hex */
  readonly file: string | null
  readonly system: string
}

// A promotion begins a new timeline (a number that only grows), so the greater one of two primaries of a cluster is the later.
const WHEREABOUTS = `select pg_is_in_recovery() as standby, (select system_identifier::text from pg_control_system()) as system,
  case when pg_is_in_recovery() then null else pg_walfile_name(pg_current_wal_insert_lsn()) end as file`

/** Not every service that speaks PostgreSQL tells of its log: function missing, not supported, not allowed. */
const KEPT_SECRET = /^(0A000|42883|42501|55000)$/

/** @returns the watch that all pools of a process share; what it has seen lasts as long as the process */
export function createPrimaryWatch(): PrimaryWatch {
  const newest = new Map<string, number>()
  const met = new Map<string, number>()
  const seen = new WeakMap<ClientBase, { system: string; timeline: number }>()

  return {
    async check(client) {
      const { standby, file, system } = await ask(client)
      if (standby) throw outage('08004', 'The database is a standby, which takes no writes.')
      if (file === null) return
      const timeline = Number.parseInt(file.slice(0, 8), 16)
      const known = newest.get(system) ?? 0
      if (timeline < known) {
        throw outage(
          '08004',
          `The database is an old primary: its timeline is ${timeline}, and ${known} has been seen.`,
        )
      }
      newest.set(system, timeline)
      if (met.get(system) !== timeline && (await meetPrimary(client, { system, timeline }))) met.set(system, timeline)
      seen.set(client, { system, timeline })
    },

    isCurrent(client) {
      const at = seen.get(client)
      return !at || at.timeline >= (newest.get(at.system) ?? 0)
    },
  }
}

async function ask(client: ClientBase): Promise<Whereabouts> {
  try {
    return (await client.query<Whereabouts>(WHEREABOUTS)).rows[0]!
  } catch (error) {
    if (!KEPT_SECRET.test(String((error as { code?: unknown }).code))) throw error
    const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
    return { standby: rows[0]!.standby, file: null, system: '' }
  }
}
