// What the experiments with a breaking database share: a PostgreSQL that may be stopped, killed and replaced, behind a proxy
// that leads to whichever is the primary, and a load whose every answer is timed.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../test/helpers/cluster.ts'
import { type FaultProxy, startFaultProxy } from '../test/helpers/fault-proxy.ts'
import { obtainTokens } from '../test/helpers/flow.ts'
import { type PostgresHost, type PostgresSurroundings, startPostgres } from '../test/helpers/postgres-node.ts'
import { send } from '../test/helpers/process.ts'
import { look, type Seen, startSteadyLoad } from '../test/helpers/steady-load.ts'
import type { Bench, Installation } from './experiment.ts'

/** Milliseconds: SECURITY. */
export const ANSWER_WITHIN = 2000
export const RED_WITHIN = 5000
export const BACK_WITHIN = 5000

export interface Breakable {
  readonly host: PostgresHost
  /** on the way from every process to the server */
  readonly front: FaultProxy
  readonly installation: Installation
}

/** @returns an installation on a server of its own */
export async function installBreakable(
  bench: Bench,
  settings: Record<string, string> = {},
  surroundings: PostgresSurroundings = {},
): Promise<Breakable> {
  const host = await startPostgres(settings, surroundings)
  bench.after(host.remove)
  const front = await startFaultProxy(host.node.connection)
  bench.after(front.close)
  return { host, front, installation: await bench.install(front.connection) }
}

/** Starts two processes, and begins refresh families of the public client, which the load goes on with. */
export async function startLoaded(installation: Installation, processes = 2, warm = 40): Promise<Cluster> {
  const cluster = await installation.start({ processes, warm })
  for (let made = 0; made < 4; made += 1) {
    const { body } = await obtainTokens(cluster, { id: 'spa' }, { scope: 'openid things:read' })
    const { refresh_token: head, access_token: access } = body
    installation.ledger.chains.push({ code: '', verifier: '', head, access: [access], state: 'live' })
  }
  return cluster
}

/**
 * Puts load on a cluster and breaks something under it.
 * @param fault resolves when the database is back
 */
export async function underLoad(
  { issuer, cast, ledger }: Installation,
  cluster: Cluster,
  fault: () => Promise<unknown>,
  { before = 1000, after = 6000, limit = ANSWER_WITHIN } = {},
): Promise<Seen> {
  const load = startSteadyLoad({
    ports: cluster.nodes.map(({ port }) => port),
    issuer,
    client: { id: 'shop', secret: cast.shop },
    ledger,
    pause: 20,
  })
  await sleep(before)
  await fault()
  const back = performance.now()
  await sleep(after)
  await load.stop()
  return look(load.answers, back, limit)
}

/** @returns milliseconds until every process says `status` about its readiness, or a miss */
export async function readiness(cluster: Cluster, status: number, within: number, misses: string[]): Promise<number> {
  const begun = performance.now()
  for (;;) {
    const answers = await Promise.all(cluster.nodes.map(({ port }) => send(port, '/readyz')))
    const took = Math.round(performance.now() - begun)
    if (answers.every((answer) => answer.status === status)) return took
    if (took > within) {
      misses.push(`readiness is not ${status} within ${within} ms`)
      return took
    }
    await sleep(50)
  }
}

/** @returns what does not hold of an outage that ended */
export function judge(seen: Seen, what: string, back = BACK_WITHIN): string[] {
  return [
    ...seen.misses,
    ...(seen.recovered > back ? [`served again ${seen.recovered} ms after the database was back`] : []),
    ...(seen.good === 0 ? ['nothing was served at all'] : []),
  ].map((miss) => `${what}: ${miss}`)
}

/** @returns the figures of several outages in words */
export function inWords(all: readonly Seen[]): string {
  const sum = (pick: (one: Seen) => number) => all.reduce((total, one) => total + pick(one), 0)
  const most = (pick: (one: Seen) => number) => Math.max(...all.map(pick))
  return `${all.length} outages, ${sum((one) => one.good)} good, ${sum((one) => one.refused)} refused, slowest answer ${most((one) => one.slowest)} ms, back after ${most((one) => one.recovered)} ms`
}
