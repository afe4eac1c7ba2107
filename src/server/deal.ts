// The port of several workers: taken in here, and dealt out to them. It closes here, too, before any of them is told to stop: what
// was dealt reaches a worker before that word, and nothing waits at a port that nobody looks after.
import { createServer, Server as NetServer, type Socket } from 'node:net'
import { openPort } from '../port/open-port.ts'
import { createTakeIn } from '../port/take-in.ts'
import type { Order } from './orders.ts'

/** A process that takes connections. */
export interface Dealt {
  send(order: Order, socket: Socket, options: { keepOpen: boolean }, done: () => void): void
}

export interface Dealer {
  /** This worker takes connections from now on. */
  add(worker: Dealt): void
  /** It has the connection of this number. */
  taken(worker: Dealt, number: number): void
  /** It is gone. What it did not take is dealt to others. */
  remove(worker: Dealt): void
  /** @throws OperatorFault when the port cannot be opened */
  open(port: number, hosts: readonly string[]): Promise<void>
  /** Takes no new connections. All that came are on their way to a worker when it resolves. */
  close(): Promise<void>
}

/** Connections that wait while no worker is there; what comes then is cut. */
const MOST_WAITING = 1000

/** @param clock milliseconds of a clock that only goes forward */
export function createDealer({ clock }: { clock: () => number }): Dealer {
  /** connections that are on their way to each, by number; until it says that it has them they are ours, too */
  const workers = new Map<Dealt, Map<number, Socket>>()
  const waiting: Socket[] = []
  let numbers = 0
  let closed = false
  let open: readonly { close(): Promise<void> }[] = []

  function deal(socket: Socket): void {
    const [first, ...others] = workers
    if (!first) {
      if (!closed && waiting.length < MOST_WAITING) waiting.push(socket)
      else socket.destroy()
      return
    }
    // A busy worker is slow to take what it is sent.
    const [worker, under] = others.reduce((best, one) => (one[1].size < best[1].size ? one : best), first)
    // To the end of the row: those that are equal take turns.
    workers.delete(worker)
    numbers += 1
    workers.set(worker, under.set(numbers, socket))
    // One that cannot be sent to is about to be removed.
    worker.send({ order: 'take', number: numbers }, socket, { keepOpen: true }, () => undefined)
  }

  function makeListener() {
    const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      deal(socket)
    })
    const takeIn = createTakeIn({ clock }, server)
    return {
      server,
      async close() {
        await takeIn()
        // Its end would be told when the last connection ends at a worker, for which nobody is to wait.
        NetServer.prototype.close.call(server)
      },
    }
  }

  return {
    add(worker) {
      workers.set(worker, new Map())
      for (const socket of waiting.splice(0)) deal(socket)
    },
    taken(worker, number) {
      const under = workers.get(worker)
      under?.get(number)?.destroy() // our end of it alone
      under?.delete(number)
    },
    remove(worker) {
      const left = workers.get(worker) ?? new Map<number, Socket>()
      workers.delete(worker)
      for (const socket of left.values()) deal(socket)
    },
    async open(port, hosts) {
      open = await openPort(makeListener, port, hosts)
    },
    async close() {
      await Promise.all(open.map((listener) => listener.close()))
      closed = true
      for (const socket of waiting.splice(0)) socket.destroy()
    },
  }
}
