import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresNode } from '../../test/helpers/postgres-node.ts'
import type { Seen } from '../../test/helpers/steady-load.ts'
import type { Experiment } from '../experiment.ts'
import { failOverBehind } from '../lost-window.ts'
import { ANSWER_WITHIN, installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'

const TIMES = 3
/**
 * Milliseconds. With the standby's start it is less than the grace of a refresh token: whoever got no answer, and tries again after
 * that, is taken for a thief.
 */
const CUT = 6000
/** Milliseconds without a write: R-24. */
const OUTAGE = 15_000

/** The primary is killed, its synchronous standby promoted, and the proxy led there, as HAProxy would. */
export const r24Failover: Experiment = {
  id: 'R-24',
  title: 'failover to a synchronous standby under load; a primary without its standby; failover to an asynchronous one',
  size: {
    full: `${TIMES} failovers in a row, each to a new standby, 2 processes; 1 primary cut off for ${CUT / 1000} s; 1 failover to a standby that is 2 s behind`,
  },
  target:
    'nothing acknowledged is lost; writes stop for ≤ 15 s; answers within 2 s; cut from its standby a primary acknowledges no write; asynchronous: no more is lost than the standby was behind, nothing used is good again, and revoke --all ends the rest',

  async run(bench) {
    const { host, front, installation } = await installBreakable(bench)
    const cluster = await startLoaded(installation)
    const misses: string[] = []
    const all: Seen[] = []
    let primary: PostgresNode = host.node
    for (let turn = 1; turn <= TIMES; turn += 1) {
      const standby = await primary.makeStandby(`standby${turn}`)
      await primary.synchronous(true)
      const seen = await underLoad(installation, cluster, async () => {
        await primary.stop('kill')
        await standby.promote()
        front.switchTo(standby.connection)
      })
      bench.say(`failover ${turn}: ${inWords([seen])}, ${seen.longestGap} ms without a write`)
      misses.push(...judge(seen, `failover ${turn}`))
      if (seen.longestGap > OUTAGE) misses.push(`failover ${turn}: ${seen.longestGap} ms without a write`)
      all.push(seen)
      primary = standby
    }

    const standby = await primary.makeStandby('last')
    await primary.synchronous(true)
    let acknowledged = 0
    const seen = await underLoad(installation, cluster, async () => {
      await standby.stop('kill')
      // What was on its way to the standby may still be confirmed; by then all of it has its answer.
      await sleep(ANSWER_WITHIN)
      const before = installation.ledger.tokens.size
      await sleep(CUT - ANSWER_WITHIN)
      acknowledged = installation.ledger.tokens.size - before
      await standby.start()
      await primary.synchronous(true)
    })
    bench.say(`cut from its standby: ${inWords([seen])}`)
    misses.push(...judge(seen, 'cut from its standby'))
    if (acknowledged > 0) misses.push(`${acknowledged} writes were acknowledged without a standby`)
    const behind = await failOverBehind(bench)
    return {
      result: `${inWords([...all, seen])}; ${Math.max(...all.map((one) => one.longestGap))} ms without a write; ${behind.result}`,
      misses: [...misses, ...behind.misses],
    }
  },
}
