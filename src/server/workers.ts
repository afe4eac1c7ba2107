// Keeps several processes that serve one port. They are told what to do by messages; one that dies is started again.
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { Logger } from 'pino'
import { OperatorFault } from '../vocabulary/fault.ts'
import { createDealer } from './deal.ts'
import type { Order, Report } from './orders.ts'
import { createPooledMetrics } from './pooled-metrics.ts'
import { turnAway } from './turn-away.ts'
import { createWatchers } from './watchers.ts'

// Milliseconds.
const FIRST_RETRY = 100
const LAST_RETRY = 5000
/** A worker that lived this long did not die of its start; the pause begins anew. */
const SETTLED = 10_000
/** A worker ends within ten seconds of the order to stop, or it does not. */
const STOPS_WITHIN = 15_000

export interface WorkersParts {
  readonly count: number
  readonly port: number
  /** addresses to listen on */
  readonly hosts: readonly string[]
  /** what each worker is told first */
  readonly first: Extract<Order, { order: 'serve' }>
  readonly log: Logger
  /** milliseconds of a clock that only goes forward */
  readonly clock: () => number
}

interface Life {
  /** milliseconds */
  readonly lasted: number
  /** of which it died, if it had words for it */
  readonly fault?: OperatorFault
  /** for the log */
  readonly how: object
}

export interface Workers {
  /** Turns readiness red, waits for who watches it, and lets every worker finish what it has begun. May be called twice. */
  stop(): Promise<void>
}

/**
 * Starts the workers.
 * @returns when all of them serve
 * @throws OperatorFault when the first start of one fails, or the port cannot be opened; the others are stopped again
 */
export async function startWorkers({ count, port, hosts, first, log, clock }: WorkersParts): Promise<Workers> {
  cluster.setupPrimary({
    exec: fileURLToPath(new URL('../main.ts', import.meta.url)),
    execArgv: ['--disable-warning=ExperimentalWarning'],
    args: ['start'],
  })
  const watchers = createWatchers({ clock })
  const dealer = createDealer({ clock })
  const metrics = createPooledMetrics()
  const alive = new Set<Worker>()
  const over = new AbortController()
  const told: Order[] = [first]

  const tellAll = (order: Order) => {
    told.push(order)
    for (const worker of alive) tell(worker, order)
  }

  /** One life. @returns how long it lasted and how it ended; never throws */
  async function live(onReady: () => void): Promise<Life> {
    const begun = clock()
    let worker: Worker
    try {
      worker = cluster.fork()
    } catch (unborn) {
      return { lasted: 0, how: { err: unborn } }
    }
    const measuring = { send: (order: Order) => tell(worker, order) }
    alive.add(worker)
    let fault: OperatorFault | undefined
    worker.on('message', async (report: Report) => {
      if (report.report === 'ready') {
        dealer.add(worker)
        metrics.add(measuring)
        onReady()
      }
      if (report.report === 'taken') dealer.taken(worker, report.number)
      if (report.report === 'measured') metrics.take(measuring, report.turn, report.measured)
      if (report.report === 'metrics wanted')
        tell(worker, { order: 'metrics', turn: report.turn, text: await metrics.read() })
      if (report.report === 'asked') watchers.asked(report.from)
      if (report.report === 'fault') fault = new OperatorFault(report.message, report.advice)
    })
    for (const order of told) tell(worker, order)
    const how = await new Promise<object>((resolve) => {
      const { pid } = worker.process
      worker.once('exit', (code: number | null, signal: string | null) => resolve({ pid, code, signal }))
      // One that was never born does not exit. Of one that lives its end is what counts.
      worker.on('error', (err) => pid === undefined && resolve({ err }))
    })
    alive.delete(worker)
    dealer.remove(worker)
    metrics.remove(measuring)
    return { lasted: clock() - begun, fault, how }
  }

  async function keep(onReady: () => void, onFirstFailure: (error: Error) => void): Promise<void> {
    let ready = false
    let retry = FIRST_RETRY
    while (!over.signal.aborted) {
      const { lasted, fault, how } = await live(() => {
        ready = true
        onReady()
      })
      if (over.signal.aborted) return
      if (!ready) return onFirstFailure(fault ?? new Error(`A worker did not start: ${inspect(how)}.`))
      log.error(
        { ...how, ...(fault && { err: fault }) },
        'a worker has ended, or could not start; another takes its place',
      )
      if (lasted > SETTLED) retry = FIRST_RETRY
      await sleep(retry, undefined, { signal: over.signal }).catch(() => undefined)
      retry = Math.min(retry * 2, LAST_RETRY)
    }
  }

  const lives: Promise<void>[] = []
  const starts = Array.from(
    { length: count },
    () => new Promise<void>((resolve, reject) => lives.push(keep(resolve, reject))),
  )
  async function stop(): Promise<void> {
    over.abort()
    await dealer.close()
    tellAll({ order: 'stop' })
    const late = setTimeout(() => {
      for (const worker of alive) worker.process.kill('SIGKILL')
    }, STOPS_WITHIN)
    await Promise.all(lives)
    clearTimeout(late)
  }
  try {
    await Promise.all(starts)
    await dealer.open(port, hosts)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    async stop() {
      const turnRed = () => tellAll({ order: 'turn red' })
      if (!over.signal.aborted) await turnAway(watchers, { turnRed, shed: () => tellAll({ order: 'shed' }) })
      await stop()
    },
  }
}

function tell(worker: Worker, order: Order): void {
  worker.send(order, undefined, () => undefined) // one that has just died hears nothing
}
