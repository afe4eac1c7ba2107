// Several server processes on one database under one issuer, as behind a load balancer, with time between their statements.

import type { CookieJar } from 'tough-cookie'
import { type Browser, createBrowser } from './browser.ts'
import type { TestDatabase } from './database.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { basic } from './flow.ts'
import { type RawAnswer, type ServerProcess, send, startProcess } from './process.ts'
import { TEST_SECRET } from './server.ts'

export interface Shot {
  readonly path: string
  readonly form?: Record<string, string>
  readonly headers?: Record<string, string>
}

export interface Cluster {
  readonly issuer: string
  readonly nodes: readonly ServerProcess[]
  /** the proxy on the way to the database */
  readonly way: FaultProxy
  /** Sends requests to all processes in turn, all at once. @param make is told the number of the request, from 0 */
  fire(times: number, make: (index: number) => Shot): Promise<RawAnswer[]>
  /** @returns a browser whose requests go to one of the processes. @param jar shared with another browser, as among tabs */
  browser(node: number, jar?: CookieJar): Browser
  /** Starts a process again that was killed or stopped. */
  restart(node: number): Promise<void>
  /** what every process wrote to standard error, also those that are gone */
  log(): string
  stop(): Promise<void>
}

/**
 * Starts the processes, makes the connections of their pools, and opens as many to them as `fire` needs: cold ones let one
 * request finish before the next has begun, and hide every race.
 * @param ports one per process; the first one is the issuer's
 * @param api a client that may introspect
 */
export async function startCluster({
  database,
  ports,
  latency = 0,
  api,
  env = {},
  envOf = () => ({}),
  warm = 100,
  program,
}: {
  database: TestDatabase
  ports: readonly number[]
  /** milliseconds added to each round trip to the database */
  latency?: number
  api: { id: string; secret: string }
  env?: Record<string, string>
  /** what one of them has beside that, by its number from 0 */
  envOf?: (node: number) => Record<string, string>
  /** the number of requests that will be sent at once */
  warm?: number
  /** another program than the command line */
  program?: readonly string[]
}): Promise<Cluster> {
  const issuer = `http://localhost:${ports[0]}`
  const host = new URL(issuer).host
  const way = await startFaultProxy(database.connection, { latency })
  const gone: ServerProcess[] = []
  const start = (port: number) => {
    const settings = {
      PORT: String(port),
      GATEHOUSE_ISSUER: issuer,
      DATABASE_URL: way.url,
      GATEHOUSE_SECRET: TEST_SECRET,
      LOG_LEVEL: 'error',
      ...env,
      ...envOf(ports.indexOf(port)),
    }
    return startProcess(settings, program)
  }
  const started = await Promise.allSettled(ports.map(start))
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const cluster: Cluster = {
    issuer,
    nodes,
    way,
    fire: (times, make) =>
      Promise.all(
        Array.from({ length: times }, (_, index) => {
          const { path, form, headers } = make(index)
          return send(nodes[index % nodes.length]!.port, path, { form, headers: { ...headers, host } })
        }),
      ),
    browser: (node, jar) =>
      createBrowser(issuer, {
        jar,
        send: fetchBy((path, shot) => send(nodes[node % nodes.length]!.port, path, shot)),
      }),
    async restart(node) {
      gone.push(nodes[node]!)
      nodes[node] = await start(ports[node]!)
    },
    log: () => [...gone, ...nodes].map((node) => node.log()).join(''),
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()))
      await way.close()
    },
  }
  const failed = started.find((one) => one.status === 'rejected')
  const answers = failed
    ? []
    : await cluster.fire(warm, () => ({
        path: '/introspect',
        form: { token: 'x' },
        headers: basic(api.id, api.secret),
      }))
  const cold = answers.find(({ status }) => status !== 200)
  if (failed || cold) {
    await cluster.stop()
    throw failed?.reason ?? new Error(`the pools could not be warmed: ${cold!.status} ${cold!.text}\n${cluster.log()}`)
  }
  return cluster
}

/** @returns what a browser sends its requests with, when they go elsewhere than to their address; the Host header is that of the address */
export function fetchBy(send: (path: string, shot: Omit<Shot, 'path'>) => Promise<RawAnswer>): typeof fetch {
  return async (address, init = {}) => {
    const url = new URL(String(address))
    const form = init.body instanceof URLSearchParams ? Object.fromEntries(init.body) : undefined
    const headers = { ...Object.fromEntries(new Headers(init.headers)), host: url.host }
    const answer = await send(`${url.pathname}${url.search}`, { form, headers })
    const given = Object.entries(answer.headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one): [string, string] => [name, one]),
    )
    return new Response(answer.text || null, { status: answer.status, headers: given })
  }
}
