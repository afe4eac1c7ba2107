import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Shot } from '../../test/helpers/cluster.ts'
import { authorizeUrl, basic, pkce } from '../../test/helpers/flow.ts'
import { send } from '../../test/helpers/process.ts'
import { THINGS } from '../../test/helpers/server.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'

const IN_FLIGHT = 200
const ROUNDS = 5
/** Milliseconds. */
const WITHIN = 10_000
const LATENCY = 60
const WATCH = 100

/** A request that was begun. */
interface Begun {
  readonly what: string
  /** Sends what was held back of it. */
  finish(): void
  /** `ok`, or what was wrong with the answer */
  readonly end: Promise<string>
  /** when it came */
  at?: number
}

interface Stopped {
  readonly inFlight: number
  /** milliseconds from the signal to the last answer, and to the end of the process */
  readonly answered: number
  readonly ended: number
  readonly newcomers: number
  readonly refused: number
}

/** A server is told to stop while it works, with and without somebody who watches its readiness. */
export const r17Drain: Experiment = {
  id: 'R-17',
  title: `SIGTERM with ${IN_FLIGHT} requests in flight`,
  size: {
    full: `tokens, introspection, authorization requests and pages; 1 and 2 workers, watched or not, ${ROUNDS} times each`,
  },
  target:
    'watched: readiness is red first; what is in flight is finished within 10 s, 0 cut answers; who comes anew is answered or refused; exit code 0',

  async run(bench) {
    const misses: string[] = []
    const all: Stopped[] = []
    const installation = await bench.install()
    for (const workers of [1, 2]) {
      for (const watched of [true, false]) {
        for (let round = 0; round < ROUNDS; round += 1) {
          const found: string[] = []
          const stopped = await stopUnderway(bench, installation, workers, watched, found)
          all.push(stopped)
          const name = `${workers} workers, ${watched ? 'watched' : 'not watched'}`
          bench.say(`${name}: ${JSON.stringify(stopped)}, ${found.length} misses`)
          misses.push(...found.map((miss) => `${name}: ${miss}`))
        }
      }
    }
    const sum = (pick: (one: Stopped) => number) => all.reduce((total, one) => total + pick(one), 0)
    const most = (pick: (one: Stopped) => number) => Math.max(...all.map(pick))
    return {
      result: `${all.length} stops, ${sum((one) => one.inFlight)} in flight, all answered after ${most((one) => one.answered)} ms at most, ended after ${most((one) => one.ended)} ms; ${sum((one) => one.newcomers)} came anew and were answered, ${sum((one) => one.refused)} refused`,
      misses,
    }
  },
}

async function stopUnderway(
  bench: Bench,
  installation: Installation,
  workers: number,
  watched: boolean,
  misses: string[],
): Promise<Stopped> {
  const env = { WORKERS: String(workers), GATEHOUSE_DATABASE_CONNECTIONS: '48' }
  const cluster = await installation.start({ processes: 1, warm: IN_FLIGHT, env })
  const { port, child } = cluster.nodes[0]!
  const prepared = { token: await issue(installation, cluster), page: await openPage(cluster) }
  const seen: { asked: number; status: number | string }[] = []
  const look = () => {
    const asked = performance.now()
    return readiness(port).then((status) => seen.push({ asked, status }))
  }
  const watch = watched ? setInterval(look, WATCH) : undefined
  await sleep(watched ? 5 * WATCH : 0)

  cluster.way.delay(LATENCY)
  const underway = Array.from({ length: IN_FLIGHT }, (_, index) => begin(bench, installation, cluster, prepared, index))
  const { host } = new URL(cluster.issuer)
  const newcomers = Promise.all([1, 2, 3].map(() => comeAnew(port, host, () => child.exitCode === null)))
  // Until the server has them all, and the first are about to be answered.
  await sleep(LATENCY * 2)
  const signalled = performance.now()
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  // What is half sent at the signal comes to its end when everybody has been told to go elsewhere.
  if (watched) await until(() => seen.some(({ status }) => status === 503), WITHIN)
  for (const one of underway) one.finish()
  const ends = await Promise.all(underway.map(({ end }) => end))
  const [code, signal] = await exited
  const ended = performance.now() - signalled
  clearInterval(watch)
  cluster.way.delay(0)
  const anew = await newcomers

  const inFlight = underway.filter(({ at }) => at! > signalled).length
  const answered = Math.max(...underway.map(({ at }) => at!)) - signalled
  const bad = underway
    .map(({ what }, index) => `${what} in flight: ${ends[index]}`)
    .filter((end) => !end.endsWith(': ok'))
  misses.push(...bad)
  if (inFlight < IN_FLIGHT * 0.75) misses.push(`only ${inFlight} were in flight`)
  if (code !== 0) misses.push(`ended with ${code ?? signal}`)
  if (Math.max(ended, answered) > WITHIN) misses.push(`took ${Math.round(ended)} ms`)
  misses.push(...anew.flatMap(({ wrong }) => wrong))
  if (watched) misses.push(...judgeReadiness(seen, signalled))
  const [first, last] = [Math.round(answered), Math.round(ended)]
  return {
    inFlight,
    answered: first,
    ended: last,
    newcomers: anew.reduce((sum, one) => sum + one.answered, 0),
    refused: anew.reduce((sum, one) => sum + one.refused, 0),
  }
}

/** It was ready until the signal, then red at least three times, then gone. */
function judgeReadiness(seen: { asked: number; status: number | string }[], signalled: number): string[] {
  const misses: string[] = []
  seen.sort((a, b) => a.asked - b.asked)
  const told = seen.map(({ status }) => status).join(' ')
  if (!/^(200 )+(503 ){3,}(ECONNREFUSED ?)*$/.test(`${told} `)) misses.push(`readiness was ${told}`)
  const red = seen.find(({ status }) => status === 503)
  if (red && red.asked + 5 * WATCH < signalled) misses.push('readiness was red before the signal')
  return misses
}

async function issue({ cast, ledger }: Installation, { nodes, issuer }: Cluster): Promise<string> {
  const { body } = await send(nodes[0]!.port, '/token', {
    form: { grant_type: 'client_credentials', resource: THINGS },
    headers: { ...basic('shop', cast.shop), host: new URL(issuer).host },
  })
  ledger.tokens.set(String(body.access_token), 'live')
  return String(body.access_token)
}

/** @returns the page of a sign-in under way, and the cookies of its browser */
async function openPage(cluster: Cluster): Promise<Shot> {
  const browser = cluster.browser(0)
  const { url } = await browser.open(authorizeUrl(cluster, 'spa', pkce().challenge, { scope: 'openid things:read' }))
  return { path: url.pathname, headers: { cookie: await browser.jar.getCookieString(String(url)) } }
}

/** Begins one of four kinds of requests, each on a connection of its own; of every tenth the last byte is held back. */
function begin(
  bench: Bench,
  installation: Installation,
  cluster: Cluster,
  { token, page }: { token: string; page: Shot },
  index: number,
): Begun {
  const { cast, ledger, issuer } = installation
  const { pathname, search } = authorizeUrl({ issuer }, 'spa', pkce().challenge, { scope: 'openid things:read' })
  const kinds: readonly (Shot & { what: string; expected: RegExp })[] = [
    {
      what: 'token',
      path: '/token',
      form: { grant_type: 'client_credentials', resource: THINGS },
      headers: basic('shop', cast.shop),
      expected: /^200 \{.*"access_token":"[^"]+".*\}$/,
    },
    {
      what: 'introspection',
      path: '/introspect',
      form: { token },
      headers: basic('orders-api', cast.api),
      expected: /^200 \{.*"active":true.*\}$/,
    },
    { what: 'authorization request', path: `${pathname}${search}`, expected: /^303 / },
    { what: 'page', ...page, expected: /^200 .*value="sign-in".*<\/html>\s*$/s },
  ]
  const { what, path, form, headers, expected } = kinds[index % kinds.length]!
  const body = form && new URLSearchParams(form).toString()
  const outgoing = request({
    port: cluster.nodes[0]!.port,
    host: '127.0.0.1',
    path,
    agent: false,
    method: body ? 'POST' : 'GET',
    headers: {
      ...headers,
      host: new URL(issuer).host,
      ...(body && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length }),
    },
  })
  const held = body && index % 20 < 2
  outgoing.write(held ? body.slice(0, -1) : (body ?? ''))
  if (!held) outgoing.end()
  const begun: Begun = {
    what,
    finish: () => void (held && outgoing.end(body.slice(-1))),
    end: once(outgoing, 'response')
      .then(async ([incoming]) => {
        const told = await text(incoming)
        const { access_token: issued } = told.startsWith('{') ? JSON.parse(told) : {}
        bench.canaries.add(issued)
        if (issued) ledger.tokens.set(issued, 'live')
        return expected.test(`${incoming.statusCode} ${told}`) ? 'ok' : `${incoming.statusCode} ${told.slice(0, 100)}`
      })
      .catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
      .finally(() => {
        begun.at = performance.now()
      }),
  }
  return begun
}

/** Comes with a new connection again and again: is answered, told to go elsewhere from the signal on, and in the end refused. */
async function comeAnew(port: number, host: string, goesOn: () => boolean) {
  const agent = new Agent({ keepAlive: false })
  const wrong: string[] = []
  let answered = 0
  let refused = 0
  while (goesOn()) {
    const status = await send(port, '/jwks', { agent, headers: { host } }).then(
      (answer) => answer.status,
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    )
    if (status === 200) answered += 1
    else if (status === 'ECONNREFUSED') refused += 1
    else wrong.push(`who came anew: ${status}`)
    await sleep(5)
  }
  return { answered, refused, wrong }
}

const readiness = (port: number) =>
  send(port, '/readyz', { agent: new Agent({ keepAlive: false }) }).then(
    ({ status }): number | string => status,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )

async function until(test: () => boolean, within: number): Promise<void> {
  const since = performance.now()
  while (!test() && performance.now() - since < within) await sleep(10)
}
