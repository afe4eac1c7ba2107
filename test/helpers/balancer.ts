// A load balancer of the tests: round robin over nodes that are ready, and another try only where no connection came about, as
// HAProxy does with `option httpchk GET /readyz` and `retry-on conn-failure`.
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

// Milliseconds, and how many answers in a row turn a node off or on.
const EVERY = 150
const WITHIN = 5000
const FALL = 2

export interface Balancer {
  readonly port: number
  /** the ports that get requests now */
  readonly up: () => readonly number[]
  /** what made it turn away: the port, and the status or the error */
  readonly bad: string[]
  close(): Promise<void>
}

/**
 * @param port where it listens
 * @param nodes ports of this machine
 */
export async function startBalancer(port: number, nodes: readonly number[]): Promise<Balancer> {
  const agent = new Agent({ keepAlive: true })
  const inRow = new Map(nodes.map((node) => [node, FALL]))
  const bad: string[] = []
  const up = () => nodes.filter((node) => inRow.get(node)! < FALL)
  let turn = 0
  let on = true

  const check = (node: number) =>
    new Promise<number | string>((resolve) => {
      const asked = request({ port: node, host: '127.0.0.1', path: '/readyz', agent, timeout: WITHIN }, (answer) => {
        answer.resume()
        resolve(answer.statusCode!)
      })
      asked.on('timeout', () => asked.destroy(new Error('late')))
      asked.on('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message))
      asked.end()
    })
  const checks = nodes.map(async (node) => {
    while (on) {
      const answer = await check(node)
      if (answer !== 200) bad.push(`${node} ${answer}`)
      inRow.set(node, answer === 200 ? 0 : inRow.get(node)! + 1)
      await sleep(EVERY)
    }
  })

  function pass(incoming: IncomingMessage, body: Buffer, answer: ServerResponse, tries: number): void {
    const ready = up()
    const node = ready[turn++ % ready.length]
    if (node === undefined || tries === 0) {
      answer.writeHead(503, { 'x-balancer': 'no node' }).end()
      return
    }
    const { method, url: path, headers } = incoming
    const outgoing = request({ port: node, host: '127.0.0.1', method, path, headers, agent }, (back) => {
      const { connection, ...rest } = back.headers
      answer.writeHead(back.statusCode!, rest)
      back.pipe(answer)
      back.on('error', () => answer.destroy())
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') pass(incoming, body, answer, tries - 1)
      else answer.writeHead(502, { 'x-balancer': error.code ?? error.message }).end()
    })
    outgoing.end(body)
  }

  const server = createServer(async (incoming, answer) => {
    const parts: Buffer[] = []
    for await (const part of incoming) parts.push(part as Buffer)
    pass(incoming, Buffer.concat(parts), answer, 3)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    port,
    up,
    bad,
    async close() {
      on = false
      await Promise.all(checks)
      agent.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
