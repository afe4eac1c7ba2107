// The metrics of several processes as one: counts are sums, and what each worker has counted stays counted when it dies, because
// Prometheus takes a sum that falls for a start from zero.
import { AggregatorRegistry, type Registry } from 'prom-client'
import type { Measured } from './metrics.ts'
import type { Order } from './orders.ts'

/** Milliseconds for a worker to tell; one takes its time while the database is away. Prometheus waits for ten seconds. */
const WITHIN = 4000

/** A process that measures. */
export interface Measuring {
  send(order: Order): void
}

export interface PooledMetrics {
  add(worker: Measuring): void
  /** Takes what a worker has measured. @param turn the number of the question */
  take(worker: Measuring, turn: number, measured: Measured): void
  /** Its counters are kept as they were last told. */
  remove(worker: Measuring): void
  /** @returns everything as text; of a worker that does not tell in time, what it told last */
  read(): Promise<string>
}

/** @returns the metrics of nobody yet */
export function createPooledMetrics(): PooledMetrics {
  const last = new Map<Measuring, Measured>()
  const questions = new Map<number, { open: Set<Measuring>; done: () => void }>()
  let former: Promise<Measured> = Promise.resolve([])
  let turns = 0

  /** `turn` is no longer waited for, of this worker. */
  function settle(worker: Measuring, turn: number): void {
    const question = questions.get(turn)
    question?.open.delete(worker)
    if (question?.open.size === 0) question.done()
  }

  return {
    add: (worker) => void last.set(worker, []),

    take(worker, turn, measured) {
      // One that is about to end may have nothing to tell.
      if (last.has(worker) && measured.length > 0) last.set(worker, measured.map(withNumbers))
      settle(worker, turn)
    },

    remove(worker) {
      const counted = last.get(worker)?.filter(({ type }) => type === 'counter' || type === 'histogram') ?? []
      former = former.then(
        (before) => pool([before, counted]).getMetricsAsJSON() as Promise<unknown> as Promise<Measured>,
      )
      last.delete(worker)
      for (const turn of questions.keys()) settle(worker, turn)
    },

    async read() {
      turns += 1
      const turn = turns
      const { promise, resolve: done } = Promise.withResolvers<void>()
      if (last.size === 0) done()
      questions.set(turn, { open: new Set(last.keys()), done })
      const late = setTimeout(done, WITHIN)
      for (const worker of last.keys()) worker.send({ order: 'measure', turn })
      await promise
      clearTimeout(late)
      questions.delete(turn)
      const before = await former
      return pool([before, ...last.values()]).metrics()
    },
  }
}

function pool(all: readonly Measured[]): Registry {
  return AggregatorRegistry.aggregate(all.map((measured) => [...measured]))
}

/** What is no number becomes nothing on the way from another process. */
function withNumbers(metric: Measured[number]): Measured[number] {
  return { ...metric, values: metric.values.filter(({ value }) => typeof value === 'number') }
}
