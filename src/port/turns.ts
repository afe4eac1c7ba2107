// Requests that come on one connection before the one ahead of them is answered (RFC 9112 section 9.3.2) are taken one after the
// other: Node would begin all of them at once, however many there are, and answer what is no HTTP before what came ahead of it.
import { AsyncResource } from 'node:async_hooks'
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { linger, MOST_REST } from './linger.ts'

/** Requests that may wait on one connection; one with more is cut. No browser and no library of ours sends any ahead. */
const MOST_WAITING = 100

interface Line {
  /** what is being answered, or was last */
  current?: { incoming: IncomingMessage; answer: ServerResponse }
  readonly waiting: { incoming: IncomingMessage; run: () => void }[]
  /** what came behind all of them, and is no request */
  refusal?: NodeJS.ErrnoException
}

/** Lets a server hand requests to `handler`, one at a time for each connection. */
export function takeTurns(server: Server, handler: RequestListener): void {
  const lines = new WeakMap<Duplex, Line>()

  server.on('request', (incoming, answer) => {
    const { socket } = incoming
    if (!socket.writable) return // what was still on its way when the connection ended
    let line = lines.get(socket)
    if (!line) {
      line = { waiting: [] }
      lines.set(socket, line)
    }
    const run = () => {
      line.current = { incoming, answer }
      answer.once('close', () => goOn(socket, line))
      handler(incoming, answer)
    }
    if (!isBusy(line)) run()
    // Bound, or it would begin as a part of the request ahead of it.
    else if (line.waiting.length < MOST_WAITING) line.waiting.push({ incoming, run: AsyncResource.bind(run) })
    else socket.destroy()
  })

  // Node would answer this one by itself, out of turn. Nobody has to understand what is expected (RFC 9110 section 10.1.1).
  server.on('checkExpectation', (incoming, answer) => server.emit('request', incoming, answer))
  server.on('connect', ({ method }, socket) =>
    server.emit('clientError', new Error(`${method} is for proxies`), socket),
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (refused.has(socket)) {
      // What follows is not looked at, but read, up to a point.
      if ((socket as Socket).bytesRead > MOST_REST) socket.pause()
      return
    }
    const line = lines.get(socket)
    // A request without its end is never answered; all others are, before what is behind them is refused.
    if (line && isBusy(line) && line.current?.incoming.complete && socket.writable) line.refusal = error
    else refuse(socket, error, line?.current)
  })
}

function isBusy({ current }: Line): boolean {
  return current !== undefined && !current.answer.closed
}

function goOn(socket: Duplex, line: Line): void {
  const next = line.waiting.shift()
  if (!socket.writable) return
  if (line.refusal && !next?.incoming.complete) refuse(socket, line.refusal)
  else next?.run()
}

/** Connections on which something was no request. */
const refused = new WeakSet<Duplex>()

const STATUS: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** @param last the request ahead, whose rest this may be */
function refuse(socket: Duplex, { code = '' }: NodeJS.ErrnoException, last?: Line['current']): void {
  if (!socket.writable || (last && !last.incoming.complete && last.answer.headersSent)) {
    socket.destroy()
    return
  }
  const status = STATUS[code] ?? 400
  refused.add(socket)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  linger(socket)
}
