import { setTimeout as sleep } from 'node:timers/promises'
import type { Seen } from '../../test/helpers/steady-load.ts'
import type { Experiment } from '../experiment.ts'
import { installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'

const TIMES = 5

export const r22Restart: Experiment = {
  id: 'R-22',
  title: 'PostgreSQL is restarted (fast) under load',
  size: { full: `${TIMES} restarts, away for 0 to 4 s, 2 processes` },
  target:
    'every answer is 200 or 503 with Retry-After within 2 s; served again within 5 s; nothing acknowledged is lost',

  async run(bench) {
    const { host, installation } = await installBreakable(bench)
    const cluster = await startLoaded(installation)
    const all: Seen[] = []
    for (let turn = 0; turn < TIMES; turn += 1) {
      const seen = await underLoad(installation, cluster, async () => {
        await host.node.stop('fast')
        await sleep(turn * 1000)
        await host.node.start()
      })
      bench.say(`restart ${turn + 1}: ${inWords([seen])}`)
      all.push(seen)
    }
    return { result: inWords(all), misses: all.flatMap((seen, turn) => judge(seen, `restart ${turn + 1}`)) }
  },
}
