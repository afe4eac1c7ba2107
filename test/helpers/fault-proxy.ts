// A proxy between Gatehouse and its database that does what networks do: holds packets back, loses them, cuts connections,
// swallows everything without a word, and leads elsewhere after a failover. It speaks no PostgreSQL.
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { databaseUrl } from './database.ts'

/** Where a database is: `host` is a name, or the folder of a unix socket. */
export interface ProxyTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password?: string
  readonly database: string
}

/** `answer`: the packet arrives, what comes back is lost. `request`: it never arrives. `cut`: it arrives, the line breaks. */
type Loss = 'answer' | 'request' | 'cut'

export interface FaultProxy {
  /** a DATABASE_URL that leads through the proxy */
  readonly url: string
  /** the same in parts */
  readonly connection: ProxyTarget & { ssl: false }
  /** @param milliseconds added to every round trip, half on either way */
  delay(milliseconds: number): void
  /** Cuts every connection; new ones are taken. */
  cut(): void
  /** Cuts every connection and takes no new ones. */
  interrupt(): Promise<void>
  /** Holds everything and says nothing: open connections stand still, new ones are taken and never answered. */
  blackHole(): void
  /** Ends `interrupt` and `blackHole`. What a black hole holds is delivered, as TCP would. */
  resume(): Promise<void>
  /** Loses the next packet of a client that contains `text` (any case), or its answer; that connection then stays silent. */
  loseNext(text: string, what: Loss): void
  /** Cuts every connection and leads new ones to another server, as a load balancer does after a failover. */
  switchTo(target: Pick<ProxyTarget, 'host' | 'port'>): void
  /** how many connections are open through it */
  count(): number
  close(): Promise<void>
}

interface State {
  latency: number
  held: boolean
  target: Pick<ProxyTarget, 'host' | 'port'>
  trap?: { text: string; what: Loss }
}

interface Line {
  cut(): void
  /** Goes on with what was held. */
  wake(): void
}

/**
 * @param options `latency` in milliseconds per round trip; `over` what it listens on: a unix socket, or TCP on loopback
 */
export async function startFaultProxy(
  target: ProxyTarget,
  { latency = 0, over = 'socket' }: { latency?: number; over?: 'socket' | 'tcp' } = {},
): Promise<FaultProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-proxy-'))
  const state: State = { latency, held: false, target }
  const lines = new Set<Line>()
  const server = createServer({ pauseOnConnect: true }, (near) => {
    const line = openLine(near, state, () => lines.delete(line))
    lines.add(line)
  })
  let port = 0
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      const where = over === 'tcp' ? { host: '127.0.0.1', port } : { path: join(folder, '.s.PGSQL.5432') }
      server.listen(where, () => {
        server.off('error', reject)
        if (over === 'tcp') port = (server.address() as AddressInfo).port
        resolve()
      })
    })
  const cut = () => {
    for (const line of lines) line.cut()
  }
  const interrupt = async () => {
    cut()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  await listen()
  const way = over === 'tcp' ? { host: '127.0.0.1', port } : { host: folder, port: 5432 }
  return {
    url: databaseUrl({ ...target, ...way }),
    connection: { ...target, ...way, ssl: false },
    delay(milliseconds) {
      state.latency = milliseconds
    },
    cut,
    interrupt,
    blackHole() {
      state.held = true
    },
    async resume() {
      state.held = false
      for (const line of lines) line.wake()
      if (!server.listening) await listen()
    },
    loseNext(text, what) {
      state.trap = { text: text.toLowerCase(), what }
    },
    switchTo(target) {
      state.target = target
      cut()
    },
    count: () => lines.size,
    async close() {
      await interrupt()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function openLine(near: Socket, state: State, onClose: () => void): Line {
  let far: Socket | undefined
  let silent = false
  const pipes: { wake(): void }[] = []
  const cut = () => {
    near.destroy()
    far?.destroy()
    onClose()
  }
  const spring = (data: Buffer) => {
    if (!state.trap || !data.toString('latin1').toLowerCase().includes(state.trap.text)) return undefined
    const { what } = state.trap
    state.trap = undefined
    silent = what !== 'cut'
    return what
  }
  const start = () => {
    const { host, port } = state.target
    far = host.startsWith('/') ? connect(join(host, `.s.PGSQL.${port}`)) : connect(port, host)
    far.on('error', () => undefined)
    const there = pipe(near, far, state, cut, (data) => {
      const sprung = spring(data)
      if (sprung === 'cut') far!.end(data, () => cut())
      return sprung === undefined || sprung === 'answer'
    })
    const back = pipe(far, near, state, cut, () => !silent)
    pipes.push(there, back)
    near.resume()
  }
  near.on('error', () => undefined)
  near.once('close', () => !far && onClose())
  if (!state.held) start()
  return {
    cut,
    wake() {
      if (!far && !near.destroyed) start()
      for (const one of pipes) one.wake()
    },
  }
}

/** Carries one direction, in order, each packet half the latency late; nothing while the network is held. */
function pipe(
  from: Socket,
  to: Socket,
  state: State,
  onEnd: () => void,
  pass: (data: Buffer) => boolean,
): { wake(): void } {
  const waiting: { data: Buffer | undefined; due: number }[] = []
  let timer: NodeJS.Timeout | undefined
  const flush = () => {
    timer = undefined
    while (waiting.length > 0 && !state.held) {
      const left = waiting[0]!.due - performance.now()
      if (left > 0.5) {
        timer = setTimeout(flush, left)
        return
      }
      const { data } = waiting.shift()!
      if (data === undefined) onEnd()
      else if (pass(data) && to.writable) to.write(data)
    }
  }
  const push = (data: Buffer | undefined) => {
    waiting.push({ data, due: performance.now() + state.latency / 2 })
    if (!timer) flush()
  }
  from.on('data', push)
  from.on('close', () => push(undefined))
  return { wake: () => timer ?? flush() }
}
