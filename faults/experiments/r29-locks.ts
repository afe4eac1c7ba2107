import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Experiment } from '../experiment.ts'
import { installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'

const SECONDS = 30

/** Somebody at a terminal forgets an open transaction that holds the row of a refresh family. */
export const r29Locks: Experiment = {
  id: 'R-29',
  title: 'a row is locked by somebody else',
  size: { full: `1 refresh family for ${SECONDS} s under load, 2 processes` },
  target: 'who needs the row gets a 503 within 5 s; all others are served as before',

  async run(bench) {
    const misses: string[] = []
    const { installation } = await installBreakable(bench)
    const cluster = await startLoaded(installation)
    const holder = new pg.Client(installation.database.connection)
    await holder.connect()
    bench.after(() => holder.end())
    let others = 0
    const seen = await underLoad(
      installation,
      cluster,
      async () => {
        await holder.query('begin')
        await holder.query('select from refresh_families order by family_hash limit 1 for update')
        const before = installation.ledger.tokens.size
        await sleep(SECONDS * 1000)
        others = installation.ledger.tokens.size - before
        await holder.query('rollback')
      },
      { limit: 5000 },
    )
    misses.push(...judge(seen, 'locked'))
    if (seen.refused === 0) misses.push('nobody needed the row')
    if (seen.refused > SECONDS) misses.push(`${seen.refused} requests were refused: not only those that need the row`)
    if (seen.longestGap > 1000) misses.push(`nobody was served for ${seen.longestGap} ms`)
    return { result: `${inWords([seen])}; ${others} tokens issued meanwhile`, misses }
  },
}
