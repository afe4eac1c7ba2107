// What would end if a version of the key ring were dropped. A hash does not tell its version; the age of what it belongs to does.
import { sql } from 'kysely'
import type { Db } from '../db/unit-of-work.ts'

/** The longest lives of what hangs on a version, in seconds. */
export interface Lifetimes {
  /** of a login session, and the cookies that carry it */
  readonly session: number
  /** of a refresh family */
  readonly family: number
  /** of an access token; also of the note that one has ended */
  readonly accessToken: number
}

export interface Need {
  readonly version: number
  readonly what: 'access tokens' | 'login sessions' | 'refresh tokens' | 'one-time links' | 'client secrets'
  /** how many there are; of access tokens and sessions, how many may be of this version */
  readonly count: number
  /** when the last of them ends by itself; client secrets do not, but change to the newest version when they are used */
  readonly until?: Date
}

// Processes hear of a new version within a second, and a code may become a family a minute after it was made.
const MARGIN_SECONDS = 120

/**
 * @param replacedAt since when new values are made under a later version
 * @returns what living things may need the version; none when it can be dropped
 */
export async function stillNeeded(
  db: Db,
  { version, replacedAt, lifetimes, now }: { version: number; replacedAt: Date; lifetimes: Lifetimes; now: Date },
): Promise<readonly Need[]> {
  const after = (seconds: number) => new Date(replacedAt.getTime() + (seconds + MARGIN_SECONDS) * 1000)
  const { rows } = await sql<Counts>`select
    (select count(*)::int from access_tokens where expires_at > ${now}) as tokens,
    (select count(*)::int from sessions where expires_at > ${now}) as sessions,
    (select count(*)::int from refresh_families
      where expires_at > ${now} and absolute_expires_at > ${now}
        and absolute_expires_at <= ${after(lifetimes.family)}) as families,
    (select max(absolute_expires_at) from refresh_families
      where expires_at > ${now} and absolute_expires_at <= ${after(lifetimes.family)}) as families_end,
    (select count(*)::int from account_links
      where used_at is null and expires_at > ${now} and created_at <= ${after(0)}) as links,
    (select max(expires_at) from account_links where used_at is null and created_at <= ${after(0)}) as links_end,
    (select count(*)::int from client_secrets
      where hash is not null and hash_version = ${version} and (expires_at is null or expires_at > ${now})) as secrets`.execute(
    db,
  )
  const found = rows[0]!
  const needs: Omit<Need, 'version'>[] = []
  // JWTs are not stored: there may be some even where nothing else is found.
  if (now < after(lifetimes.accessToken))
    needs.push({ what: 'access tokens', count: found.tokens, until: after(lifetimes.accessToken) })
  if (found.sessions > 0 && now < after(lifetimes.session))
    needs.push({ what: 'login sessions', count: found.sessions, until: after(lifetimes.session) })
  if (found.families > 0) needs.push({ what: 'refresh tokens', count: found.families, until: found.families_end! })
  if (found.links > 0) needs.push({ what: 'one-time links', count: found.links, until: found.links_end! })
  if (found.secrets > 0) needs.push({ what: 'client secrets', count: found.secrets })
  return needs.map((need) => ({ version, ...need }))
}

interface Counts {
  readonly tokens: number
  readonly sessions: number
  readonly families: number
  readonly families_end: Date | null
  readonly links: number
  readonly links_end: Date | null
  readonly secrets: number
}
