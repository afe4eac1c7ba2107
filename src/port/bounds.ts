// What one connection may take of our time, and how many of them one address may have. Whoever is slow is cut; whoever has too
// many loses the one that has been idle the longest, so that behind a shared address nobody is turned away.
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { networkOf } from '../throttle/network.ts'
import { linger, MOST_REST } from './linger.ts'

/** Milliseconds. */
const TIMES = {
  /** for the headers of a request, from the connection or the request before */
  headers: 15_000,
  /** for the whole request */
  request: 25_000,
  /** between two looks at those two */
  look: 1000,
  /** for the client to take its answer, once all of it is made */
  answer: 20_000,
  /** idle between two requests */
  idle: 20_000,
  /** the same for proxies of ours: longer than the sixty seconds for which they keep theirs */
  idleProxy: 65_000,
}

/** Pieces of a body that comes in chunks; each costs the same, be it a byte. */
const MOST_CHUNKS = 1000
/** Connections of all that are no proxies of ours together. */
const MOST_OF_ALL = 10_000

export interface BoundsParts {
  /** connections that one address may have */
  readonly perAddress: number
  /** bits that count of an IPv6 address; by default 64 */
  readonly ipv6Prefix?: number
  /** whether a peer is a proxy of ours, which speaks for many */
  readonly isTrusted: (address: string) => boolean
  /** told of an address that has too many, whenever a connection of it is cut */
  readonly report?: (address: string) => void
  /** others than ours are for tests */
  readonly times?: Partial<typeof TIMES>
}

export interface Bounds {
  /** what a server is made with, where Node itself knows the bound */
  readonly options: ServerOptions
  /** Puts a server under the bounds before it listens. */
  watch(server: Server): void
}

interface State {
  readonly socket: Socket
  readonly network: string
  /** the newest request, and its answer, until that is sent */
  request?: { incoming: IncomingMessage; answer: ServerResponse }
}

/** @returns bounds for the servers of one process; their connections are counted together */
export function createBounds({ perAddress, ipv6Prefix, isTrusted, report, times: other }: BoundsParts): Bounds {
  const times = { ...TIMES, ...other }
  const states = new WeakMap<Socket, State>()
  /** longest idle first */
  const all = new Set<State>()
  const byAddress = new Map<string, Set<State>>()

  function take(state: State): void {
    const { network } = state
    const own = byAddress.get(network) ?? new Set()
    byAddress.set(network, own.add(state))
    all.add(state)
    state.socket.once('close', () => drop(state))
    if (own.size > perAddress) {
      report?.(network)
      cut(longestIdle(own))
    } else if (all.size > MOST_OF_ALL) cut(longestIdle(all))
  }

  function drop(state: State): void {
    all.delete(state)
    const own = byAddress.get(state.network)
    if (own?.delete(state) && own.size === 0) byAddress.delete(state.network)
  }

  function cut(state: State): void {
    drop(state) // at once: the event comes later than the next connection
    state.socket.destroy()
  }

  function begin(incoming: IncomingMessage, answer: ServerResponse, refuse: () => void): void {
    const { socket } = incoming
    const state = states.get(socket)
    if (state) state.request = { incoming, answer }
    if (incoming.headers['transfer-encoding'] !== undefined) boundChunks(incoming, answer, refuse)
    if (!endsSoon(incoming)) {
      // Nobody is to come back on a connection that we may have to close under what is left of this request.
      answer.setHeader('Connection', 'close')
      incoming.once('end', () => !answer.headersSent && answer.removeHeader('Connection'))
    }
    let late: NodeJS.Timeout | undefined
    answer.once('prefinish', () => {
      if (answer.closed) return // the client has gone
      late = setTimeout(() => socket.destroy(), times.answer).unref()
      if (!incoming.complete) readRest(incoming)
    })
    answer.once('close', () => {
      clearTimeout(late)
      if (!state) {
        if (!socket.destroyed) socket.setTimeout(times.idleProxy)
      } else if (state.request?.answer === answer) {
        state.request = undefined
        for (const set of [all, byAddress.get(state.network)]) if (set?.delete(state)) set.add(state)
      }
    })
  }

  return {
    options: {
      headersTimeout: times.headers,
      requestTimeout: times.request,
      connectionsCheckingInterval: times.look,
      keepAliveTimeout: times.idle,
    },
    watch(server) {
      server.on('connection', (socket: Socket) => {
        const address = socket.remoteAddress ?? ''
        if (isTrusted(address)) return
        const state = { socket, network: networkOf(address, ipv6Prefix) }
        states.set(socket, state)
        take(state)
      })
      server.prependListener('request', (incoming, answer) =>
        begin(incoming, answer, () => server.emit('clientError', new Error('too many chunks'), incoming.socket)),
      )
    },
  }
}

/** @returns one that is not being answered, if there is one, and else the newest. @param states longest idle first, not empty */
function longestIdle(states: ReadonlySet<State>): State {
  let last: State
  for (const state of states) {
    last = state
    if (!isAnswered(state)) break
  }
  return last!
}

function isAnswered({ request }: State): boolean {
  return request?.incoming.complete === true && !request.answer.writableEnded
}

/** @returns whether a request, if it is answered early, is read to its end all the same */
function endsSoon({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= MOST_REST
}

/** What is left of a request that has its answer. */
function readRest(incoming: IncomingMessage): void {
  const { socket } = incoming
  const keep = linger(socket)
  socket.destroySoon = () => void socket.end() // as Node does where the answer ends the connection
  const until = socket.bytesRead + MOST_REST
  incoming.on('data', () => {
    if (socket.bytesRead > until) stopReading(incoming)
  })
  incoming.on('error', () => undefined)
  incoming.once('end', () => {
    keep()
    Reflect.deleteProperty(socket, 'destroySoon')
    if (socket.writableEnded) socket.destroySoon()
  })
  incoming.read(0) // ours from now on: Node would read on as fast as it comes, whatever it is
  incoming.resume()
}

/** Ends a request of too many chunks, of which the last ones, and with them its end, reach nobody. */
function boundChunks(incoming: IncomingMessage, answer: ServerResponse, refuse: () => void): void {
  let chunks = 0
  const { push } = incoming
  incoming.push = (chunk, encoding) => {
    if (chunks > MOST_CHUNKS) return false
    chunks += chunk === null ? 0 : 1
    if (chunks <= MOST_CHUNKS) return push.call(incoming, chunk, encoding)
    stopReading(incoming)
    if (answer.headersSent) return false
    if (answer.socket) refuse()
    else incoming.socket.destroy() // it still waits for those ahead
    return false
  }
}

function stopReading(incoming: IncomingMessage): void {
  incoming.pause()
  incoming.socket.pause()
}
