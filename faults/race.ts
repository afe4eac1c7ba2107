// Runs a race at every number of processes and every latency of the database, and counts.
import type { Page } from '../test/helpers/browser.ts'
import type { Cluster } from '../test/helpers/cluster.ts'
import type { RawAnswer } from '../test/helpers/process.ts'
import type { Bench, Installation, Outcome } from './experiment.ts'

const FULL = { processes: [1, 2, 4], latencies: [0, 10, 25, 50] }
const QUICK = { processes: [2], latencies: [0, 25], rounds: 2 }

/**
 * @param rounds at each number of processes in a full run, divided among the latencies
 * @param round one race; adds what does not hold. @returns its answers, of which none may be a 5xx, and how many succeeded
 * @param env settings of the processes
 */
export async function race(
  bench: Bench,
  installation: Installation,
  rounds: number,
  round: (cluster: Cluster, misses: string[]) => Promise<{ answers: readonly (RawAnswer | Page)[]; good: number }>,
  env?: Record<string, string>,
): Promise<Outcome> {
  const plan = bench.quick ? QUICK : { ...FULL, rounds: Math.ceil(rounds / FULL.latencies.length) }
  const misses: string[] = []
  const total = { rounds: 0, answers: 0, good: 0 }
  for (const processes of plan.processes) {
    const cluster = await installation.start({ processes, env })
    for (const latency of plan.latencies) {
      cluster.way.delay(latency)
      const found: string[] = []
      for (let turn = 0; turn < plan.rounds; turn++) {
        const { answers, good } = await round(cluster, found)
        for (const answer of answers) if ('body' in answer) bench.canaries.learn({}, answer)
        const faults = answers.filter(({ status }) => status >= 500)
        if (faults.length > 0) found.push(`${faults.length} answers were ${faults[0]!.status}`)
        total.rounds++
        total.answers += answers.length
        total.good += good
      }
      bench.say(`${processes} processes, ${latency} ms: ${plan.rounds} races, ${found.length} misses`)
      misses.push(...found.map((miss) => `${processes} processes, ${latency} ms: ${miss}`))
    }
  }
  return { result: `${total.rounds} races, ${total.answers} requests, ${total.good} successes`, misses }
}

/** @returns how often each is there, as in `97 × 400, 3 × 503` */
export function tally(all: readonly string[]): string {
  return [...Map.groupBy(all, (one) => one)].map(([one, of]) => `${of.length} × ${one}`).join(', ')
}
