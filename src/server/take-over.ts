// The worker's side of a shared port: it answers on connections that the process which started it has taken.
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { createAnswering } from '../port/answering.ts'
import { type BoundsParts, createBounds } from '../port/bounds.ts'
import type { Listening } from '../port/listen.ts'

export interface TakeOver {
  /** Answers with `handler` from now on. */
  open(handler: RequestListener, limits: BoundsParts): Promise<Listening>
  /** @param socket nothing when its client has gone on the way here */
  take(socket: Socket | undefined): void
}

/** @returns one that takes nothing yet */
export function createTakeOver(): TakeOver {
  let answering: ReturnType<typeof createAnswering> | undefined
  return {
    async open(handler, limits) {
      const { server, shed, close } = createAnswering(handler, createBounds(limits))
      answering = { server, shed, close }
      // Node begins to look for connections that say nothing when a server listens, which this one never does.
      server.emit('listening')
      return { shed, close: (graceSeconds = 10) => close(graceSeconds * 1000) }
    },
    take(socket) {
      if (!socket) return
      if (answering) answering.server.emit('connection', socket)
      else socket.destroy()
    },
  }
}
