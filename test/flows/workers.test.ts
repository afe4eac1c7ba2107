// WORKERS=n: several processes that serve one port, kept by the one that was started.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, markProcess } from '../../src/postgres/processes.ts'
import { basic } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer, THINGS } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const started: ServerProcess[] = []

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
})
afterEach(async () => {
  for (const node of started.splice(0))
    if (node.child.exitCode === null && node.child.signalCode === null) await node.kill()
})
afterAll(() => home?.stop())

async function start(workers = 2): Promise<ServerProcess> {
  const PORT = String(await freePort())
  const settings = { PORT, DATABASE_URL: home.database.url, GATEHOUSE_SECRET: TEST_SECRET, LOG_LEVEL: 'error' }
  const node = await startProcess({ ...settings, WORKERS: String(workers) })
  started.push(node)
  return node
}

/** @returns the pids of a process's children */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
      } catch {
        return false // it has just ended
      }
    })
    .map(Number)
}
const lives = (pid: number) => isRunning(markProcess(pid))

const token = ({ port }: ServerProcess) =>
  send(port, '/token', {
    form: { grant_type: 'client_credentials', resource: THINGS },
    headers: { ...basic('shop', cast.shop), host: `localhost:${port}`, connection: 'close' },
  })

it('serves with as many processes as it was told, and one that is killed is replaced without a word to the others', async () => {
  const node = await start(2)
  const workers = childrenOf(node.child.pid!)
  expect(workers).toHaveLength(2)
  const [first] = workers
  process.kill(first!, 'SIGKILL')
  await until(() => !lives(first!))
  // Some of these are dealt to it before anybody knows that it is gone.
  const answers = (await Promise.all(Array.from({ length: 20 }, () => token(node)))).map(({ status }) => status)
  const others = () => childrenOf(node.child.pid!).filter((pid) => !workers.includes(pid))
  await until(() => others().length === 1)
  const [replacement] = others()
  for (let n = 0; n < 20; n += 1) answers.push((await token(node)).status)
  expect(new Set(answers)).toEqual(new Set([200]))
  expect(lives(replacement!)).toBe(true)
  expect(node.log()).toMatch(/a worker has ended/)
  expect(await node.stop()).toBe(0)
  expect(childrenOf(node.child.pid!)).toEqual([])
  expect([workers[1], replacement].filter((pid) => lives(pid!))).toEqual([])
})

it('SIGTERM to all of them, as a terminal or a service manager sends it, under load: 0 cut answers, exit 0', async () => {
  const node = await start(2)
  const all = [node.child.pid!, ...childrenOf(node.child.pid!)]
  let on = true
  let red = 0
  // As a load balancer does: who has seen red three times sends no more.
  const balance = async () => {
    while (on) {
      await sleep(100)
      const { status } = await send(node.port, '/readyz', { headers: { connection: 'close' } })
      if (status === 503) red += 1
      if (red === 3) on = false
    }
  }
  const statuses: number[] = []
  const load = Array.from({ length: 8 }, async () => {
    while (on) statuses.push((await token(node)).status)
  })
  const balancing = balance()
  await sleep(500)
  const exited = once(node.child, 'exit')
  for (const pid of all) process.kill(pid, 'SIGTERM')
  await Promise.all([...load, balancing])
  expect(await exited).toEqual([0, null])
  expect(red).toBe(3)
  expect(all.filter(lives)).toEqual([])
  expect(statuses.length).toBeGreaterThan(8)
  expect(new Set(statuses)).toEqual(new Set([200]))
})

it('SIGTERM while nobody watches: whoever has come is answered, whoever comes later finds nobody', async () => {
  const node = await start(2)
  for (let n = 0; n < 4; n += 1) await token(node)
  const exited = once(node.child, 'exit')
  const asked = Array.from({ length: 100 }, async (_, index) => {
    await sleep(index * 2)
    return token(node).then(
      ({ status }) => status,
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    )
  })
  await sleep(100)
  node.child.kill('SIGTERM')
  const ends = await Promise.all(asked)
  expect(await exited).toEqual([0, null])
  expect(ends.filter((end) => end !== 200 && end !== 'ECONNREFUSED')).toEqual([])
  expect(ends.filter((end) => end === 200).length).toBeGreaterThan(10)
})

describe('metrics', () => {
  /** @returns the value of a series, read on a connection of its own */
  const read = async ({ port }: ServerProcess) => {
    const { text } = await send(port, '/metrics', { headers: { connection: 'close' } })
    return (series: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${series} `))
          ?.slice(series.length + 1),
      ) // NaN: not there
  }
  const TOKENS = 'gatehouse_http_request_duration_seconds_count{route="/token",status="2xx"}'

  it('are those of all workers, whichever is asked, and stay when one dies, hangs and is replaced', async () => {
    const node = await start(2)
    for (let n = 0; n < 20; n += 1) expect((await token(node)).status).toBe(200)
    for (let n = 0; n < 4; n += 1) {
      const value = await read(node)
      expect([value(TOKENS), value('gatehouse_processes'), value('gatehouse_database_up')]).toEqual([20, 2, 1])
      expect(value('gatehouse_info{version="0.1.0"}')).toBe(1)
      expect(value('process_resident_memory_bytes')).toBeGreaterThan(50_000_000)
    }
    const [first, second] = childrenOf(node.child.pid!)
    process.kill(first!, 'SIGKILL')
    await until(() => !lives(first!))
    expect((await read(node))(TOKENS)).toBe(20)
    await until(async () => (await read(node))('gatehouse_processes') === 2)
    expect((await read(node))(TOKENS)).toBe(20)

    process.kill(second!, 'SIGSTOP')
    try {
      const begun = performance.now()
      // Half of the connections are dealt to the one that hangs.
      const value = await Promise.any([read(node), read(node)])
      expect(value(TOKENS)).toBe(20)
      expect(performance.now() - begun).toBeLessThan(8000)
    } finally {
      process.kill(second!, 'SIGCONT')
    }
  })
})

it('kill -9 of the process that was started ends its workers', async () => {
  const node = await start(2)
  const workers = childrenOf(node.child.pid!)
  await node.kill()
  await until(() => !workers.some(lives))
})

it('a port that is taken is told once', async () => {
  const port = await freePort()
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  const settings = { DATABASE_URL: home.database.url, GATEHOUSE_SECRET: TEST_SECRET, LOG_LEVEL: 'error', WORKERS: '2' }
  const failed = await startProcess({ ...settings, PORT: String(port) }).then(
    () => 'started',
    (error: Error) => error.message,
  )
  other.close()
  expect(failed).toMatch(/^ended with 1:\nPort \d+ on 127.0.0.1 is in use.\n[^\n]+\n$/)
})
