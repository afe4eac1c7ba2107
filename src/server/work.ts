// The life of a worker: one of several processes that serve the same port. It does as the process that started it says, and ends
// with it; signals are not for it, because a terminal sends them to all.
import type { Socket } from 'node:net'
import type { Config } from '../config.ts'
import { joinDatabase } from '../open-database.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { createLogger } from './log.ts'
import type { Order, Report } from './orders.ts'
import { type Serving, serve } from './serve.ts'
import { createTakeOver, type TakeOver } from './take-over.ts'

/**
 * Serves until it is told to stop. A fault that the operator can mend is reported, and ends the process: who started it says so.
 * @throws whatever else keeps it from serving
 */
export async function work(config: Config): Promise<void> {
  const takeOver = createTakeOver()
  const orders = receive(takeOver)
  const { connection, place, demo } = await orders.serve
  const log = createLogger(config.logLevel)
  const database = joinDatabase(config, {
    connection,
    place,
    onLost: (error) => log.warn({ err: error }, 'database connection lost'),
  })
  try {
    const { open } = takeOver
    const asked = (from: string) => void tell({ report: 'asked', from })
    const serving = await serve({ config, database, log, demo, asked, open, readMetrics: orders.readMetrics })
    orders.obey(serving)
    await tell({ report: 'ready' })
    await orders.stop
    await serving.stop()
  } catch (error) {
    if (!(error instanceof OperatorFault)) throw error
    await tell({ report: 'fault', message: error.message, advice: error.advice })
    process.exit(1)
  } finally {
    await database.close()
    process.channel?.unref()
  }
}

/** Resolves when the message is sent. If the keeper is gone nobody hears it; then this process ends, too. */
function tell(report: Report): Promise<void> {
  return new Promise((resolve) => process.send!(report, undefined, undefined, () => resolve()))
}

function receive({ take }: TakeOver) {
  const serveOrder = Promise.withResolvers<Extract<Order, { order: 'serve' }>>()
  const stopOrder = Promise.withResolvers<void>()
  const heard = new Set<Order['order']>()
  const wanted = new Map<number, (text: string) => void>()
  let turns = 0
  let serving: Serving | undefined
  process.on('message', (order: Order, socket?: Socket) => {
    if (order.order === 'take') {
      // Before anything is read: what a worker has read, nobody else can answer.
      void tell({ report: 'taken', number: order.number })
      return take(socket)
    }
    heard.add(order.order)
    if (order.order === 'serve') serveOrder.resolve(order)
    if (order.order === 'turn red') serving?.turnRed()
    if (order.order === 'shed') serving?.shed()
    if (order.order === 'measure') void measure(order.turn)
    if (order.order === 'metrics') wanted.get(order.turn)?.(order.text)
    if (order.order === 'stop') stopOrder.resolve()
  })
  process.channel?.ref()
  async function measure(turn: number): Promise<void> {
    const measured = await serving?.measure().catch(() => undefined)
    await tell({ report: 'measured', turn, measured: measured ?? [] })
  }
  return {
    serve: serveOrder.promise,
    stop: stopOrder.promise,
    /** Asks whoever started this process for the metrics of all. */
    async readMetrics(): Promise<string> {
      turns += 1
      const turn = turns
      const text = new Promise<string>((resolve) => wanted.set(turn, resolve))
      await tell({ report: 'metrics wanted', turn })
      return text.finally(() => wanted.delete(turn))
    },
    /** Carries out on `started` what was ordered, and what will be. */
    obey(started: Serving): void {
      serving = started
      if (heard.has('turn red')) started.turnRed()
      if (heard.has('shed')) started.shed()
    },
  }
}
