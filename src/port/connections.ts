// The connections of a server that closes: each answer tells its client to come back on another one, and none is closed under a
// request that is on its way.
import type { Server, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { createTakeIn } from './take-in.ts'

/** Milliseconds between two looks. */
const POLL = 10
/** Looks for which an idle connection stays open, so that a client that uses it often is told on it. A busy machine looks late. */
const LINGER = 25

export interface Connections {
  /** From now on every answer ends its connection. */
  shed(): void
  /** Takes no new connections, answers what comes on those that are there, and cuts what is left after `grace` milliseconds. */
  close(grace: number): Promise<void>
}

interface State {
  /** requests not read to their end, or not answered yet */
  pending: number
  /** bytes read when it was last idle: more means that a request is on its way */
  readBefore: number
}

/**
 * @param clock milliseconds of a clock that only goes forward
 * @param server before it listens
 */
export function trackConnections({ clock }: { clock: () => number }, server: Server): Connections {
  const open = new Map<Socket, State>()
  const answering = new Set<ServerResponse>()
  const takeIn = createTakeIn({ clock }, server)
  let shedding = false

  server.on('connection', (socket: Socket) => {
    open.set(socket, { pending: 0, readBefore: 0 })
    socket.once('close', () => open.delete(socket))
  })
  server.prependListener('request', (incoming, answer) => {
    const { socket } = incoming
    const state = open.get(socket)
    if (!state) return
    state.pending += 1
    answering.add(answer)
    if (shedding) answer.shouldKeepAlive = false
    const done = () => {
      state.pending -= 1
      state.readBefore = socket.bytesRead
    }
    answer.once('close', () => {
      answering.delete(answer)
      // An early answer would be lost on the way if we closed under what the client is still sending.
      if (incoming.complete || incoming.destroyed) done()
      else incoming.once('close', done)
    })
  })

  function shed(): void {
    shedding = true
    for (const answer of answering) if (!answer.headersSent) answer.shouldKeepAlive = false
  }

  return {
    shed,
    async close(grace) {
      const since = clock()
      await takeIn()
      // Not the close of a http server, which cuts idle connections at once, whatever is on its way on them.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      // Only now: whoever is told comes back on a new connection, and must find nobody instead of a queue that is thrown away.
      shed()
      for (let look = 0; open.size > 0 && clock() - since < grace; look += 1) {
        await sleep(POLL)
        await turn() // right after everything that has arrived was read
        if (look < LINGER) continue
        for (const [socket, { pending, readBefore }] of open)
          if (pending === 0 && socket.bytesRead === readBefore) socket.destroy()
      }
      for (const socket of open.keys()) socket.destroy()
      await closed
    },
  }
}
