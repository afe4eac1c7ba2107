import { setTimeout as sleep } from 'node:timers/promises'
import type { Experiment } from '../experiment.ts'
import { installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'

/** a request that fails for latency does so within this. */
const LATE = 5000

/** Correctness under latency is, which run at 50 ms too; here it is what a slow network does to answers. */
export const r27Latency: Experiment = {
  id: 'R-27',
  title: 'every round trip to the database takes longer',
  size: { full: '50, 200 and 1,000 ms, 8 s each, 2 processes' },
  target: 'throughput falls, nothing breaks; requests that fail are a 503 within 5 s; as before when it is over',

  async run(bench) {
    const misses: string[] = []
    const results: string[] = []
    const { front, installation } = await installBreakable(bench)
    const cluster = await startLoaded(installation)
    for (const latency of [50, 200, 1000]) {
      const slow = await underLoad(
        installation,
        cluster,
        async () => {
          front.delay(latency)
          await sleep(8000)
          front.delay(0)
        },
        { after: 3000, limit: 60_000 },
      )
      misses.push(...judge(slow, `${latency} ms`))
      const late = slow.slowestRefusal
      if (late > LATE) misses.push(`${latency} ms: a 503 took ${late} ms`)
      if (latency < 1000 && slow.refused > 0) misses.push(`${latency} ms: ${slow.refused} requests were refused`)
      bench.say(`${latency} ms: ${inWords([slow])}, slowest 503 ${late} ms`)
      results.push(`${latency} ms: ${slow.good} good, ${slow.refused} refused, slowest 503 ${late} ms`)
    }
    return { result: results.join('; '), misses }
  },
}
