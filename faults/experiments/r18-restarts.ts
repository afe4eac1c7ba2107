import { setTimeout as sleep } from 'node:timers/promises'
import { startBalancer } from '../../test/helpers/balancer.ts'
import { send } from '../../test/helpers/process.ts'
import { freePort } from '../../test/helpers/server.ts'
import type { Experiment } from '../experiment.ts'
import { restartInTurn } from '../rolling.ts'

const SECONDS = 60

export const r18Restarts: Experiment = {
  id: 'R-18',
  title: 'rolling restarts under load',
  size: { full: `2 processes behind a balancer, restarted in turn for ${SECONDS} s` },
  target: '0 failed requests, and the balancer tries again only where no connection came about',

  async run(bench) {
    const installation = await bench.install()
    const cluster = await installation.start({ processes: 2, warm: 0 })
    const balancer = await startBalancer(
      await freePort(),
      cluster.nodes.map(({ port }) => port),
    )
    bench.after(balancer.close)
    const settle = async () => {
      for (const until = performance.now() + 10_000; balancer.up().length < 2 && performance.now() < until; )
        await sleep(20)
    }
    await settle()
    return restartInTurn(bench, installation, cluster, {
      issuer: installation.issuer,
      send: (path, shot) => send(balancer.port, path, shot),
      settle,
      seconds: SECONDS,
    })
  },
}
