// What hung on an ended account or client is dead at once; here its rows go. Grants are found by their epoch, and codes,
// families and tokens by their grant; sessions by their account. Tokens that a client got for itself hang on nothing but the
// epoch, and an index for the rare day on which a client ends would cost every token its share: they are found by walking over
// the table, once.
import { sql } from 'kysely'
import type { EndedEpochsTable } from './schema.ts'
import { inBatch, type Sweep } from './sweep.ts'
import type { Db } from './unit-of-work.ts'

const GRANTS_AT_ONCE = 200
/** A block holds at least this many tokens, most of them of other clients. */
const TOKENS_PER_BLOCK = 20

type EndedEpoch = { epoch: string; kind: EndedEpochsTable['kind'] | null; account_id: string | null; ended_at: Date }

/** @returns a function that does the next piece of work for the epoch that ended first, at most some rows of it */
export function createEpochSweep(): Sweep {
  let walk: { readonly epoch: string; readonly block: number } | undefined

  return async (db, { before, size }) => {
    let next: typeof walk
    const done = await inBatch(db, async (trx) => {
      const due = await sql<EndedEpoch>`
        select epoch, kind, account_id, ended_at from ended_epochs where ended_at < ${before} order by ended_at limit 1`.execute(
        trx,
      )
      const ended = due.rows[0]
      if (!ended) return { removed: 0, more: false }
      const grants = await ofGrants(trx, ended.epoch, size)
      if (grants !== undefined) return { removed: grants, more: true, upTo: ended.ended_at }
      const sessions = await ofAccount(trx, ended, size)
      if (sessions > 0) return { removed: sessions, more: true, upTo: ended.ended_at }
      if (ended.kind === 'client') {
        const from = walk?.epoch === ended.epoch ? walk.block : 0
        const to = from + Math.max(1, Math.floor(size / TOKENS_PER_BLOCK))
        const tokens = await ofClient(trx, ended.epoch, from, to)
        next = { epoch: ended.epoch, block: to }
        if (tokens !== undefined) return { removed: tokens, more: true, upTo: ended.ended_at }
      }
      await sql`delete from ended_epochs where epoch = ${ended.epoch}`.execute(trx)
      return { removed: 1, more: true, upTo: ended.ended_at }
    })
    // A step that was undone is made again.
    if (typeof done === 'object' && next) walk = next
    return done
  }
}

/** @returns how many rows went, or undefined when no grant of this epoch is left */
async function ofGrants(trx: Db, epoch: string, size: number): Promise<number | undefined> {
  // Not `or`: for one condition there is one index, and a plan that cannot go wrong.
  const found = await sql<{ id_hash: Buffer }>`select id_hash from grants where ctid = any(array(
      (select ctid from grants where client_epoch = ${epoch} limit ${GRANTS_AT_ONCE})
      union all
      (select ctid from grants where account_epoch = ${epoch} limit ${GRANTS_AT_ONCE}))) for update`.execute(trx)
  if (found.rows.length === 0) return undefined
  const ids = found.rows.map((row) => row.id_hash)
  let removed = 0
  let full = false
  for (const table of ['authorization_codes', 'refresh_families', 'access_tokens']) {
    const rows = sql.table(table)
    const gone = await sql`delete from ${rows} where ctid = any(array(
      select ctid from ${rows} where grant_hash = any(${ids}) limit ${size}))`.execute(trx)
    removed += Number(gone.numAffectedRows)
    full ||= Number(gone.numAffectedRows) === size
  }
  if (full) return removed
  const gone = await sql`delete from grants where id_hash = any(${ids})`.execute(trx)
  return removed + Number(gone.numAffectedRows)
}

/** @returns how many sessions went. One that somebody holds is as dead, and goes when it would have expired. */
async function ofAccount(trx: Db, { epoch, account_id }: EndedEpoch, size: number): Promise<number> {
  if (account_id === null) return 0
  const gone = await sql`delete from sessions where ctid = any(array(
    select ctid from sessions where account_id = ${account_id} and account_epoch = ${epoch}
    limit ${size} for update skip locked))`.execute(trx)
  return Number(gone.numAffectedRows)
}

/** @returns how many tokens went from the blocks that begin here, or undefined behind the last one */
async function ofClient(trx: Db, epoch: string, from: number, to: number): Promise<number | undefined> {
  const blocks = await sql<{ n: number }>`select
    (pg_relation_size('access_tokens') / current_setting('block_size')::int)::int as n`.execute(trx)
  if (from >= blocks.rows[0]!.n) return undefined
  const gone = await sql`delete from access_tokens
    where ctid >= ${`(${from},0)`}::tid and ctid < ${`(${to},0)`}::tid
      and client_epoch = ${epoch}`.execute(trx)
  return Number(gone.numAffectedRows)
}
