import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stylesheetPath } from '../../src/http/assets.ts'
import { basic } from '../../test/helpers/flow.ts'
import { send } from '../../test/helpers/process.ts'
import { speak } from '../../test/helpers/raw-socket.ts'
import { ORDERS } from '../../test/helpers/server.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'
import { watchSockets } from '../held-sockets.ts'
import { type CrowdOrder, FROM, type SlowKind } from '../slow-crowd.ts'

const CROWD = { headers: 500, body: 500, reading: 196, greedy: 4 } as const
const STORM = 60_000
const CALM = 20_000
const ROUNDS = 2
const CUT_WITHIN = 30_000
const MOST_SLOWER = 2
const PER_ADDRESS = 1000
const TOO_MANY = 1200
const CROWDED = '127.0.0.6'
const PROXY = '127.0.0.7'

/** Calm and storm in turn, the same load in both; then more connections than one address may have. */
export const r34Slow: Experiment = {
  id: 'R-34',
  title: 'slow clients, and many of one address',
  size: {
    full: `500 drip headers, 500 a body, 200 take no answer, ${STORM / 1000} s, ${ROUNDS} times, calm between; then ${TOO_MANY} connections of one address`,
  },
  target: `99th percentile of others at most ${MOST_SLOWER} times that of the calm; slow ones are cut within ${CUT_WITHIN / 1000} s; one address has ${PER_ADDRESS} connections at most, and is still served; a listed proxy has more`,
  needs: ['linux'],

  async run(bench) {
    const misses: string[] = []
    const installation = await bench.install()
    const cluster = await installation.start({ processes: 1, env: { GATEHOUSE_TRUSTED_PROXIES: PROXY } })
    const { port } = cluster.nodes[0]!
    const { host } = new URL(cluster.issuer)
    const held = watchSockets(port)
    bench.after(async () => held.stop())

    const calm: number[] = []
    const stormy: number[] = []
    await load(installation, port, host, 5000, [], misses) // warm
    for (let round = 0; round <= ROUNDS; round += 1) {
      await load(installation, port, host, CALM, calm, misses)
      if (round === ROUNDS) break
      const crowd = startCrowd(bench, { port, host, path: stylesheetPath, sockets: CROWD, pause: 2000 })
      await sleep(6000) // all have come
      await load(installation, port, host, STORM, stormy, misses)
      for (const [kind, sockets] of Object.entries(CROWD) as [SlowKind, number][]) {
        const { [kind]: from } = FROM
        bench.say(
          `${kind}: ${held.count(from)} now, ${held.total(from)} in all, the longest for ${held.longest(from)} ms`,
        )
        if (held.total(from) < sockets) misses.push(`only ${held.total(from)} of ${sockets} ${kind} came`)
      }
      await crowd.end()
      await sleep(2000)
    }
    for (const [kind, from] of Object.entries(FROM))
      if (held.longest(from) > CUT_WITHIN) misses.push(`one of ${kind} lasted ${held.longest(from)} ms`)
    const base = percentile(calm)
    const slow = percentile(stormy)
    bench.say(`p99 ${base.toFixed(1)} ms in ${calm.length}, ${slow.toFixed(1)} ms in ${stormy.length}`)
    if (slow > MOST_SLOWER * base) misses.push(`p99 was ${slow.toFixed(1)} ms, and ${base.toFixed(1)} ms in the calm`)

    // One address.
    const sockets = await openMany(port, CROWDED, TOO_MANY)
    bench.after(async () => closeAll(sockets))
    const kept = held.count(CROWDED)
    if (kept > PER_ADDRESS || kept < PER_ADDRESS - 50) misses.push(`one address has ${kept} connections`)
    const jwks = `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
    for (const from of [CROWDED, '127.0.0.1']) {
      const { statuses, first } = await speak(port, jwks, { from })
      if (statuses[0] !== 200 || first > 1000) misses.push(`${from} was answered ${statuses} after ${first} ms`)
    }
    closeAll(sockets)
    const proxied = await openMany(port, PROXY, TOO_MANY)
    bench.after(async () => closeAll(proxied))
    const many = held.count(PROXY)
    if (many !== TOO_MANY) misses.push(`a proxy has ${many} connections of ${TOO_MANY}`)
    closeAll(proxied)
    const ages = Object.entries(FROM).map(([kind, from]) => `${kind} ${Math.round(held.longest(from) / 1000)} s`)
    return {
      result: `p99 ${base.toFixed(1)} ms calm, ${slow.toFixed(1)} ms in the storm (${calm.length} and ${stormy.length} requests); longest: ${ages.join(', ')}; ${kept} connections of one address, ${many} of a proxy`,
      misses,
    }
  },
}

/** Four clients ask for this and that, with pauses. @param took gets the milliseconds of each */
async function load(
  { cast, api }: Installation,
  port: number,
  host: string,
  milliseconds: number,
  took: number[],
  misses: string[],
): Promise<void> {
  const until = performance.now() + milliseconds
  const shop = { ...basic('shop', cast.shop), host }
  const acts: [string, Record<string, string> | undefined, Record<string, string>][] = [
    ['/token', { grant_type: 'client_credentials', resource: ORDERS }, shop],
    ['/introspect', { token: 'x' }, { ...basic(api.id, api.secret), host }],
    ['/jwks', undefined, { host }],
    ['/healthz', undefined, { host }],
  ]
  const work = async (first: number) => {
    for (let turn = first; performance.now() < until; turn += 1) {
      const [path, form, headers] = acts[turn % acts.length]!
      const begun = performance.now()
      const { status } = await send(port, path, { ...(form && { form }), headers })
      took.push(performance.now() - begun)
      if (status !== 200) misses.push(`${path} was answered ${status}`)
      await sleep(20)
    }
  }
  await Promise.all([0, 1, 2, 3].map(work))
}

function startCrowd(bench: Bench, order: CrowdOrder): { end(): Promise<void> } {
  const program = join(import.meta.dirname, '../slow-crowd.ts')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, JSON.stringify(order)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const end = async () => {
    child.stdin!.end()
    await ended
  }
  bench.after(async () => void child.kill('SIGKILL'))
  return { end }
}

async function openMany(port: number, from: string, times: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let index = 0; index < times; index += 1) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.once('connect', resolve))
    sockets.push(socket)
  }
  await sleep(200)
  return sockets
}

function closeAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy()
}

function percentile(all: readonly number[], part = 0.99): number {
  return [...all].sort((a, b) => a - b)[Math.floor(all.length * part)] ?? Number.NaN
}
