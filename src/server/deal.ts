// The port of several workers: taken in here, and dealt out to them. It closes here, too, before any of them is told to stop: what
// was dealt reaches a worker before that word, and nothing waits at a port that nobody looks after.
import { createServer, Server as NetServer, type Socket } from 'node:net'
import { type Listener, openPort } from './open-port.ts'
import type { Order } from './orders.ts'
import { createTakeIn } from './take-in.ts'

/** A process that takes connections. */
export interface Dealt {
  send(order: Order, socket: Socket, done: (error: Error | null) => void): void
}

export interface Dealer {
  /** This worker takes connections from now on. */
  add(worker: Dealt): void
  remove(worker: Dealt): void
  /** @throws OperatorFault when the port cannot be opened */
  open(port: number, hosts: readonly string[]): Promise<void>
  /** Takes no new connections. All that came are on their way to a worker when it resolves. */
  close(): Promise<void>
}

/** Milliseconds after which a port is closed, however many still come. */
const CLOSES_WITHIN = 1000
/** Connections that wait while no worker is there; what comes then is cut. */
const MOST_WAITING = 1000

/** @param clock milliseconds of a clock that only goes forward */
export function createDealer({ clock }: { clock: () => number }): Dealer {
  /** connections that are on their way to each */
  const workers = new Map<Dealt, Set<Socket>>()
  const waiting: Socket[] = []
  let open: readonly Listener[] = []

  function deal(socket: Socket): void {
    const [first, ...others] = workers
    if (!first) {
      if (waiting.length < MOST_WAITING) waiting.push(socket)
      else socket.destroy()
      return
    }
    // A busy worker is slow to take what it is sent.
    const [worker, under] = others.reduce((best, one) => (one[1].size < best[1].size ? one : best), first)
    // To the end of the row: those that are equal take turns.
    workers.delete(worker)
    workers.set(worker, under.add(socket))
    worker.send({ order: 'take' }, socket, (error) => {
      under.delete(socket)
      if (error) socket.destroy()
    })
  }

  function makeListener(): Listener {
    const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      deal(socket)
    })
    const takeIn = createTakeIn({ clock }, server)
    return {
      server,
      async close(grace) {
        await takeIn(clock() + grace)
        // Its end would be told when the last connection ends at a worker, for which nobody is to wait.
        NetServer.prototype.close.call(server)
      },
    }
  }

  return {
    add(worker) {
      workers.set(worker, new Set())
      for (const socket of waiting.splice(0)) deal(socket)
    },
    remove(worker) {
      // Of what still waited for its turn to be sent, Node tells nothing any more: nobody would end it.
      for (const socket of workers.get(worker) ?? []) socket.destroy()
      workers.delete(worker)
    },
    async open(port, hosts) {
      open = await openPort(makeListener, port, hosts)
    },
    async close() {
      await Promise.all(open.map((listener) => listener.close(CLOSES_WITHIN)))
      for (const socket of waiting.splice(0)) socket.destroy()
    },
  }
}
