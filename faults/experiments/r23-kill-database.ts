import { setTimeout as sleep } from 'node:timers/promises'
import type { Seen } from '../../test/helpers/steady-load.ts'
import type { Experiment } from '../experiment.ts'
import { installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'

const TIMES = 5

export const r23KillDatabase: Experiment = {
  id: 'R-23',
  title: 'PostgreSQL is killed (kill -9) under load and recovers',
  size: { full: `${TIMES} kills, 2 processes` },
  target: 'as R-22',

  async run(bench) {
    const { host, installation } = await installBreakable(bench)
    const cluster = await startLoaded(installation)
    const all: Seen[] = []
    for (let turn = 0; turn < TIMES; turn += 1) {
      const seen = await underLoad(installation, cluster, async () => {
        await host.node.stop('kill')
        await sleep(500)
        await host.node.start()
      })
      bench.say(`kill ${turn + 1}: ${inWords([seen])}`)
      all.push(seen)
    }
    return { result: inWords(all), misses: all.flatMap((seen, turn) => judge(seen, `kill ${turn + 1}`)) }
  },
}
