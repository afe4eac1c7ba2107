// A crowd of clients that waste the server's time, as a process of its own: what it costs must not slow down who measures. It is
// told what to do by its one argument, and goes on until its standard input ends.
import { connect } from 'node:net'

/** `headers` and `body` come drop by drop; `reading` ones ask once and take nothing; `greedy` ones go on asking */
export type SlowKind = 'headers' | 'body' | 'reading' | 'greedy'

export interface CrowdOrder {
  readonly port: number
  readonly host: string
  readonly path: string
  /** how many of each kind there are at any time */
  readonly sockets: Readonly<Partial<Record<SlowKind, number>>>
  /** milliseconds between two drops */
  readonly pause: number
}

/** Each kind comes from an address of its own. */
export const FROM: Record<SlowKind, string> = {
  headers: '127.0.0.2',
  body: '127.0.0.3',
  reading: '127.0.0.4',
  greedy: '127.0.0.5',
}
/** Milliseconds between two that are opened, of each kind. */
const RAMP = 10
/** Milliseconds between two handfuls of requests whose answers nobody takes; few ask so, because these cost the server work. */
const GREED = 500
/** Milliseconds after which one that does not read is joined by another: it cannot know whether it was cut. */
const JOINED_AFTER = 25_000

if (import.meta.main) {
  const order = JSON.parse(process.argv[2]!) as CrowdOrder
  for (const [kind, sockets] of Object.entries(order.sockets) as [SlowKind, number][])
    for (let index = 0; index < sockets; index += 1) setTimeout(() => join(kind, order), index * RAMP)
  process.stdin.resume()
  process.stdin.on('end', () => process.exit(0))
}

function join(kind: SlowKind, order: CrowdOrder): void {
  const { port, host, path, pause } = order
  const get = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n`
  const socket = connect({ port, host: '127.0.0.1', localAddress: FROM[kind] })
  socket.on('error', () => undefined)
  const reads = kind === 'headers' || kind === 'body'
  if (reads) socket.resume()
  else socket.pause()
  const first = {
    headers: get,
    body: `POST /token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50000\r\n\r\n`,
    reading: `${get}\r\n`,
    greedy: `${get}\r\n`,
  }[kind]
  const drops = { headers: 'X: 1\r\n', body: 'x', reading: '', greedy: `${get}\r\n`.repeat(20) }[kind]
  socket.write(first)
  const timer =
    drops === ''
      ? undefined
      : setInterval(() => socket.writable && socket.write(drops), kind === 'greedy' ? GREED : pause)
  socket.once('close', () => clearInterval(timer))
  if (reads) socket.once('close', () => setTimeout(() => join(kind, order), 100))
  else setTimeout(() => join(kind, order), JOINED_AFTER)
}
