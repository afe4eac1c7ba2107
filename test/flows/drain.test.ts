// A node that is told to stop says so first, takes nothing new once nobody sends any more, and finishes what it has begun.
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { startBalancer } from '../helpers/balancer.ts'
import { basic } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer, THINGS } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let way: SlowDatabase
const started: ServerProcess[] = []

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  way = await slowDown(home.database.connection, 0)
})
afterEach(async () => {
  way.delay(0)
  for (const node of started.splice(0)) if (node.child.exitCode === null) await node.kill()
})
afterAll(async () => {
  await way?.close()
  await home?.stop()
})

async function start(host: string, port: number, DATABASE_URL = home.database.url): Promise<ServerProcess> {
  const settings = { GATEHOUSE_ISSUER: `http://${host}`, GATEHOUSE_SECRET: TEST_SECRET, LOG_LEVEL: 'error' }
  const node = await startProcess({ ...settings, PORT: String(port), DATABASE_URL })
  started.push(node)
  return node
}
const opaqueToken = (port: number, host: string) =>
  send(port, '/token', {
    form: { grant_type: 'client_credentials', resource: THINGS },
    headers: { ...basic('shop', cast.shop), host },
  })
/** Sends a request for an opaque token but for its last byte. @returns what sends that, too, and waits for the whole answer */
function beginToken(port: number, host: string): { finish(): Promise<string> } {
  const body = `grant_type=client_credentials&resource=${encodeURIComponent(THINGS)}`
  const headers = {
    ...basic('shop', cast.shop),
    host,
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': body.length,
  }
  const outgoing = request({ port, host: '127.0.0.1', path: '/token', method: 'POST', headers, agent: false })
  outgoing.write(body.slice(0, -1))
  const answer = once(outgoing, 'response').then(async ([incoming]) => `${incoming.statusCode} ${await text(incoming)}`)
  answer.catch(() => undefined)
  return {
    finish() {
      outgoing.end(body.slice(-1))
      return answer.catch((error: Error) => error.message)
    },
  }
}
const readiness = (port: number) =>
  send(port, '/readyz').then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => error.code,
  )

it('R-17 SIGTERM with 200 in flight: 0 cut answers, exit 0, readiness red first', async () => {
  const port = await freePort()
  const host = `localhost:${port}`
  const node = await start(host, port, way.url)
  expect((await opaqueToken(port, host)).status).toBe(200)
  const seen: unknown[] = []
  const asksUntil = async (over: () => boolean) => {
    while (!over()) {
      await sleep(100)
      seen.push(await readiness(port))
    }
  }
  await asksUntil(() => seen.length === 4)

  way.delay(30) // per round trip, of which a token takes several, for as many at once as there are connections
  const underway = Array.from({ length: 200 }, () => beginToken(port, host))
  await asksUntil(() => seen.length === 8)
  const exited = once(node.child, 'exit')
  node.child.kill('SIGTERM')
  const begun = performance.now()
  await asksUntil(() => seen.at(-1) !== 200)
  expect(seen.at(-1)).toBe(503)
  // Whoever comes while it still listens, which it does until we have seen red again, is answered, and told to come back on
  // another connection.
  const late = await send(port, '/healthz')
  expect([late.status, late.headers.connection]).toEqual([200, 'close'])

  const closes = asksUntil(() => seen.at(-1) === 'ECONNREFUSED')
  const answers = await Promise.all(underway.map((one) => one.finish()))
  expect(answers.filter((answer) => !/^200 .*"access_token":"[^"]+".*}$/.test(answer))).toEqual([])
  expect(await exited).toEqual([0, null])
  expect(performance.now() - begun).toBeLessThan(10_000)
  await closes
  expect(seen.filter((status) => status === 503).length).toBeGreaterThanOrEqual(3)
  expect(seen.filter((status) => ![200, 503, 'ECONNREFUSED'].includes(status as never))).toEqual([])
})

it('nobody watches: it closes at once, though connections are kept open', async () => {
  const port = await freePort()
  const node = await start(`localhost:${port}`, port)
  expect((await send(port, '/healthz')).headers.connection).toBe('keep-alive')
  const begun = performance.now()
  expect(await node.stop()).toBe(0)
  expect(performance.now() - begun).toBeLessThan(1500)
})

it('R-18 two nodes behind a balancer are restarted one after the other under load: 0 failed requests', async () => {
  const [front, ...ports] = [await freePort(), await freePort(), await freePort()]
  const host = `localhost:${front}`
  const nodes = await Promise.all(ports.map((port) => start(host, port)))
  const balancer = await startBalancer(front, ports)
  const statuses: string[] = []
  let on = true
  try {
    while (balancer.up().length < 2) await sleep(20)
    const load = Array.from({ length: 4 }, async () => {
      while (on) {
        const { status, body, headers } = await opaqueToken(front, host)
        const known = await send(front, '/introspect', {
          form: { token: String(body.access_token) },
          headers: { ...basic('orders-api', cast.api), host },
        })
        statuses.push(`${status} ${known.status} ${known.body.active} ${headers['x-balancer'] ?? ''}`)
      }
    })
    for (const [index, node] of nodes.entries()) {
      await sleep(300)
      expect(await node.stop()).toBe(0)
      expect(balancer.up()).not.toContain(node.port)
      nodes[index] = await start(host, node.port)
      while (balancer.up().length < 2) await sleep(20)
    }
    await sleep(300)
    on = false
    await Promise.all(load)
  } finally {
    on = false
    await balancer.close()
  }
  expect([new Set(statuses), balancer.bad]).toEqual([new Set(['200 200 true ']), expect.anything()])
  expect(statuses.length).toBeGreaterThan(50)
})
