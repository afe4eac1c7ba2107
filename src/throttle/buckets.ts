// Token buckets in the database, so that all processes share them. A bucket is one moment: when it will be full again (the
// "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371). A try moves it on by the time that a token takes to come.
import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/unit-of-work.ts'
import type { Limit } from './limits.ts'

export interface Bucket extends Limit {
  readonly key: Buffer
}

/** `lacking`: the emptiest bucket, `seconds` to wait (a fraction), and the moment when that is over */
export type Taking =
  | { readonly ok: true }
  | { readonly ok: false; readonly lacking: Buffer; readonly seconds: number; readonly at: Date }

export interface Buckets {
  /** Takes a token from each bucket, or from none where one of them has none left. */
  take(buckets: readonly Bucket[]): Promise<Taking>
  /** Puts back what one `take` took. */
  giveBack(buckets: readonly Bucket[]): Promise<void>
}

/**
 * @param db the pool itself, not the unit of work: a try is spent when it is made, whatever becomes of the request, and no
 *   lock outlives its statement
 * @param now left out, the database's clock: processes whose clocks disagree still share each bucket. A test hands in its own.
 */
export function createBuckets({ db, now }: { db: Db; now?: () => Date }): Buckets {
  const moment = () => (now ? sql`${now()}::timestamptz` : sql`now()`)

  return {
    async take(buckets) {
      // A bucket that was never used has no row yet. Rows are made full, beforehand and by themselves: made inside the
      // statement below, two of those could each hold what the other waits for.
      for (let turn = 0; turn < 3; turn++) {
        const answer = await tryTake(db, buckets, moment())
        if (answer.taken) return { ok: true }
        if (answer.lacking) return { ok: false, lacking: answer.lacking, seconds: answer.seconds!, at: answer.at! }
        await fill(db, buckets, moment())
      }
      throw new Error('the rows of throttle buckets disappear as soon as they are made')
    },

    async giveBack(buckets) {
      await sql`
        with given as (${tableOf(buckets)}),
        held as materialized (
          select key from throttle_buckets where key = any(${keysOf(buckets)}::bytea[]) order by key for update
        )
        update throttle_buckets as bucket set expires_at = bucket.expires_at - given.every
        from held join given using (key) where bucket.key = held.key`.execute(db)
    },
  }
}

interface Answer {
  readonly taken: boolean
  readonly lacking: Buffer | null
  readonly seconds: number | null
  readonly at: Date | null
}

/**
 * One statement. `seen` looks without a lock, so that whoever hammers at an empty bucket writes nothing and holds nobody up. `held`
 * locks in the order of the keys, so that no two wait for each other, and has each row as it is after the wait.
 */
async function tryTake(db: Db, buckets: readonly Bucket[], moment: RawBuilder<unknown>): Promise<Answer> {
  const { rows } = await sql<Answer>`
    with clock as materialized (select ${moment} as now),
    asked as materialized (${tableOf(buckets)}),
    seen as materialized (${stateOf(sql`throttle_buckets`)}),
    held as materialized (
      select key, expires_at from throttle_buckets
      where key = any(${keysOf(buckets)}::bytea[])
        and not exists (select from seen, clock where seen.next_at > clock.now and not seen.astray)
      order by key for update
    ),
    known as materialized (${stateOf(sql`held`)}),
    verdict as materialized (
      select count(*) = ${buckets.length} and not bool_or(known.next_at > clock.now) as taken from known cross join clock
    ),
    moved as (
      update throttle_buckets as bucket
      set expires_at = case when verdict.taken then known.full_at + known.every else known.full_at end
      from known, verdict where bucket.key = known.key and (verdict.taken or known.astray)
    ),
    lacking as (
      select key, next_at from (table seen union all table known) as either, clock
      where next_at > clock.now order by next_at desc limit 1
    )
    select verdict.taken, lacking.key as lacking, lacking.next_at as at,
      extract(epoch from lacking.next_at - clock.now)::float8 as seconds
    from verdict cross join clock left join lacking on true`.execute(db)
  return rows[0]!
}

/**
 * When each bucket will be full, and when it has its next token. `astray`: further off than in an empty bucket, so written before
 * the clock was put back, or under other limits; it counts as empty, and is set right, or it would be empty until that moment.
 */
function stateOf(rows: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    select key, every, full_at, full_at - (burst - 1) * every as next_at, astray
    from (
      select key, every, burst, expires_at > clock.now + burst * every as astray,
        least(greatest(expires_at, clock.now), clock.now + burst * every) as full_at
      from ${rows} join asked using (key) cross join clock
    ) as state`
}

/** Makes the rows that are not there. */
async function fill(db: Db, buckets: readonly Bucket[], moment: RawBuilder<unknown>): Promise<void> {
  await sql`
    insert into throttle_buckets (key, expires_at)
    select key, ${moment} from (${tableOf(buckets)}) as asked order by key
    on conflict (key) do nothing`.execute(db)
}

function tableOf(buckets: readonly Bucket[]): RawBuilder<unknown> {
  return sql`
    select key, seconds * interval '1 second' as every, burst from unnest(
      ${keysOf(buckets)}::bytea[], ${buckets.map(({ every }) => every)}::float8[], ${buckets.map(({ burst }) => burst)}::int[]
    ) as bucket (key, seconds, burst)`
}

const keysOf = (buckets: readonly Bucket[]) => buckets.map(({ key }) => key)
