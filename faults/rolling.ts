// Restarts two servers one after the other, again and again, while people and services are at work through what stands before them.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../test/helpers/cluster.ts'
import type { Bench, Installation, Outcome } from './experiment.ts'
import { startTraffic, type TrafficParts } from './traffic.ts'

export interface Rolling {
  /** the issuer that people use */
  readonly issuer: string
  readonly send: TrafficParts['send']
  /** waits until what stands before the servers has seen that one is ready again; then the next one may be stopped */
  readonly settle: () => Promise<unknown>
  /** how long the load goes on */
  readonly seconds: number
}

/** Milliseconds. */
const STOPS_WITHIN = 20_000

/** @returns how many requests failed, of which none may, and how often a server was restarted */
export async function restartInTurn(
  bench: Bench,
  { cast, ledger }: Installation,
  cluster: Cluster,
  { issuer, send, settle, seconds }: Rolling,
): Promise<Outcome> {
  const misses: string[] = []
  const stops: number[] = []
  const { canaries } = bench
  const traffic = await startTraffic({ issuer, send, cast, ledger, canaries, people: 3, services: 4 })
  const until = performance.now() + seconds * 1000
  await sleep(500)
  for (let turn = 0; performance.now() < until; turn += 1) {
    const before = traffic.failures.length
    const node = turn % cluster.nodes.length
    const begun = performance.now()
    const code = await cluster.nodes[node]!.stop()
    stops.push(Math.round(performance.now() - begun))
    if (code !== 0 || stops.at(-1)! > STOPS_WITHIN) misses.push(`stop ${turn + 1}: code ${code}, ${stops.at(-1)} ms`)
    await cluster.restart(node)
    await settle()
    bench.say(`restart ${turn + 1}: stopped in ${stops.at(-1)} ms, ${traffic.failures.length - before} failures`)
  }
  await traffic.stop()
  const all = [...traffic.good.values()].reduce((sum, count) => sum + count, 0)
  if (all < seconds * 5) misses.push(`only ${all} requests`)
  const { failures } = traffic
  if (failures.length > 0) misses.push(`${failures.length} failed: ${[...new Set(failures)].slice(0, 5).join(', ')}`)
  const kinds = [...traffic.good].map(([what, count]) => `${count} ${what}`).join(', ')
  return {
    result: `${stops.length} restarts, stops of ${Math.min(...stops)} to ${Math.max(...stops)} ms; ${all} requests (${kinds}), ${failures.length} failed, slowest ${traffic.slowest()} ms`,
    misses,
  }
}
