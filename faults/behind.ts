// A rolling restart behind a load balancer that is not ours, under the public name that the README's settings are for.
import { setTimeout as sleep } from 'node:timers/promises'
import { send } from '../test/helpers/process.ts'
import type { Bench, Outcome } from './experiment.ts'
import { type Front, NAME } from './front.ts'
import { restartInTurn } from './rolling.ts'

const SECONDS = 60

/**
 * @param start starts it before two ports
 * @param wait milliseconds that the README says to wait when a server is ready again
 */
export async function restartBehind(
  bench: Bench,
  start: (parts: { folder: string; nodes: readonly number[] }) => Promise<Front>,
  wait: number,
): Promise<Outcome> {
  const installation = await bench.install()
  const issuer = `https://${NAME}`
  const misses: string[] = []
  const results: string[] = []
  for (const workers of [1, 2]) {
    const cluster = await installation.start({
      processes: 2,
      warm: 0,
      env: {
        GATEHOUSE_ISSUER: issuer,
        GATEHOUSE_PROFILE: '', // which is for issuers on this machine
        GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1',
        HOST: '127.0.0.1',
        WORKERS: String(workers),
      },
    })
    const front = await start({ folder: bench.folder, nodes: cluster.nodes.map(({ port }) => port) })
    bench.after(front.stop)
    const secure = { servername: NAME, ca: front.ca }
    const outcome = await restartInTurn(bench, installation, cluster, {
      issuer,
      send: (path, shot) => send(front.port, path, { ...shot, secure }),
      settle: () => sleep(wait),
      seconds: SECONDS,
    })
    await front.stop()
    const name = `${workers} worker${workers > 1 ? 's' : ''} each`
    results.push(`${name}: ${outcome.result}`)
    misses.push(...outcome.misses.map((miss) => `${name}: ${miss}`))
    if (outcome.misses.length > 0) bench.say(front.log().slice(-2000))
  }
  return { result: results.join('; '), misses }
}
