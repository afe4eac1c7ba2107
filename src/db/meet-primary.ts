// After a failover. A standby that takes over may lack the last moments of the primary before it: what was used up in them would
// be there again. So whatever may be used once ends with the primary that it was made on.
import type { ClientBase } from 'pg'

export interface Primary {
  /** the cluster: PostgreSQL's system identifier */
  readonly system: string
  /** counted up by each promotion */
  readonly timeline: number
}

const KNOWN = 'select (system, timeline) = ($1, $2) as known from primary_met where id = 1'

// One statement: it is done in whole or not at all, by the first of all processes; the others wait for it at the row, and find
// nothing to do. A database that was copied into another cluster, as by pg_restore, is old in the same way.
const MEET = `
  with met as (
    insert into primary_met as last (id, system, timeline) values (1, $1, $2)
    on conflict (id) do update
      set system = excluded.system, timeline = excluded.timeline, promoted_at = clock_timestamp()
      where (last.system, last.timeline) <> (excluded.system, excluded.timeline)
    returning promoted_at is not null as another),
  codes as (delete from authorization_codes
    where consumed_at is null and (select another from met) returning true),
  pushed as (delete from pushed_requests where consumed_at is null and (select another from met) returning true),
  links as (delete from account_links where used_at is null and (select another from met) returning true)
  insert into audit_entries (at, kind, actor, subject, detail)
  select clock_timestamp(), 'database.promoted', 'server', timeline, jsonb_build_object(
    'codes', (select count(*) from codes), 'pushed_requests', (select count(*) from pushed),
    'links', (select count(*) from links))
  from met, (select $2::text as timeline) as now where another`

/** The table is not there yet. */
const NOT_YET = '42P01'

/**
 * Notes on which primary the database is. On another one than before, codes, pushed requests and one-time links that were not used
 * are ended, and assertions and proofs that were made before this moment are not taken any more (`tokens/replay.ts`). What was
 * used is kept, so that a second use is recognised.
 * @param client to be used by nobody until this is done
 * @returns whether it is noted; it cannot be before the tables are there
 */
export async function meetPrimary(client: ClientBase, { system, timeline }: Primary): Promise<boolean> {
  try {
    const { rows } = await client.query<{ known: boolean }>(KNOWN, [system, timeline])
    if (!rows[0]?.known) await client.query(MEET, [system, timeline])
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === NOT_YET) return false
    throw error
  }
}
