import { setTimeout as sleep } from 'node:timers/promises'
import { send } from '../../test/helpers/process.ts'
import type { Experiment } from '../experiment.ts'
import { installBreakable, inWords, judge, RED_WITHIN, readiness, startLoaded, underLoad } from '../outage.ts'

const SECONDS = 20

export const r28BlackHole: Experiment = {
  id: 'R-28',
  title: 'the network to the database swallows everything',
  size: { full: `${SECONDS} s under load, 2 processes; once delivered late, once lost for good` },
  target:
    'answers within 2 s; liveness green, readiness red within 5 s, keys and metadata from memory; served again within 5 s',

  async run(bench) {
    const misses: string[] = []
    const results: string[] = []
    const { front, installation } = await installBreakable(bench)
    const cluster = await startLoaded(installation)
    for (const lost of [false, true]) {
      const what = lost ? 'lost' : 'delivered late'
      let red = 0
      const seen = await underLoad(installation, cluster, async () => {
        front.blackHole()
        const begun = performance.now()
        red = await readiness(cluster, 503, RED_WITHIN, misses)
        while (performance.now() - begun < SECONDS * 1000) {
          for (const path of ['/healthz', '/jwks', '/.well-known/openid-configuration']) {
            const { status } = await send(cluster.nodes[0]!.port, path, {
              headers: { host: new URL(cluster.issuer).host },
            })
            if (status !== 200) misses.push(`${what}: ${path} is ${status}`)
          }
          await sleep(500)
        }
        if (lost) front.cut()
        await front.resume()
      })
      bench.say(`${what}: ${inWords([seen])}, red after ${red} ms`)
      misses.push(...judge(seen, what))
      results.push(`${what}: ${inWords([seen])}, red after ${red} ms`)
    }
    return { result: results.join('; '), misses }
  },
}
