// How a process of ours ends: by Ctrl-C, by a signal, by two, by kill -9 of what started it; and what it leaves behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, markProcess } from '../../src/postgres/processes.ts'
import { withoutOuterNpm } from '../helpers/dockerfile.ts'
import { cleanEnv } from '../helpers/process.ts'
import { freePort } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const ROOT = join(import.meta.dirname, '../..')
const COMMAND = [process.execPath, join(ROOT, 'bin/gatehouse.mjs')] as const

let folder: string
let env: NodeJS.ProcessEnv
let port: number
const children: Running[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-signals-'))
  port = await freePort()
  env = withoutOuterNpm(
    cleanEnv({
      PORT: String(port),
      GATEHOUSE_GATEWAY_PORT: String(await freePort()),
      GATEHOUSE_DATA_DIR: join(folder, 'data'),
      LOG_LEVEL: 'warn',
    }),
  )
})
// Only where a test has failed is there anything left to end.
afterEach(async () => {
  for (const { child } of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
  }
  const left = await database()
  if (left) process.kill(left, 'SIGQUIT')
})
afterAll(async () => {
  const note = await place().catch(() => undefined)
  for (const left of [note, folder]) if (left) await rm(left, { recursive: true, force: true })
})

interface Running {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** the exit code, when every process that wrote for this one has ended, too */
  readonly ended: Promise<number | null>
}

function run(command: readonly string[]): Running {
  const child = spawn(command[0]!, command.slice(1), { cwd: ROOT, env, detached: true, stdio: 'pipe' })
  const said = { out: '', err: '' }
  child.stdout.on('data', (data) => {
    said.out += data
  })
  child.stderr.on('data', (data) => {
    said.err += data
  })
  const ended = once(child, 'close').then(([code]) => code)
  const running = { child, out: () => said.out, err: () => said.err, ended }
  children.push(running)
  return running
}

async function start(command: readonly string[] = [...COMMAND, 'start']): Promise<Running> {
  const running = run(command)
  await until(() => running.out().includes('is ready at') || running.child.exitCode !== null)
  expect([running.child.exitCode, running.err()]).toEqual([null, ''])
  return running
}

async function place(): Promise<string> {
  const dataDir = join(folder, 'data')
  return resolve(dataDir, JSON.parse(await readFile(join(dataDir, 'database.json'), 'utf8')).place)
}

/** @returns the pid of the database, or undefined when it does not run */
async function database(): Promise<number | undefined> {
  const text = await place()
    .then((base) => readFile(join(base, 'postgres/postmaster.pid'), 'utf8'))
    .catch(() => '')
  const pid = Number(text.split('\n')[0])
  return pid > 0 && isRunning(markProcess(pid)) ? pid : undefined
}

const group = ({ child }: Running, signal: NodeJS.Signals) => process.kill(-child.pid!, signal)
const alone = ({ child }: Running, signal: NodeJS.Signals) => child.kill(signal)

it.each([
  ['Ctrl-C', group, 'SIGINT'],
  ['SIGTERM to all', group, 'SIGTERM'],
  ['SIGTERM to the command', alone, 'SIGTERM'],
  ['a terminal that closes', group, 'SIGHUP'],
] as const)('%s stops in order: exit code 0, and the database with it', async (_what, send, signal) => {
  const running = await start()
  send(running, signal)
  expect(await running.ended).toBe(0)
  expect(running.out()).toContain('Stopping')
  expect([running.err(), await database()]).toEqual(['', undefined])
})

it.each([
  ['Ctrl-C', group, 'SIGINT'],
  ['SIGTERM to npm', alone, 'SIGTERM'],
] as const)('%s ends npm start, too, and npm waits for it', async (_what, send, signal) => {
  const running = await start(['npm', 'start', '--silent'])
  const exited = once(running.child, 'exit')
  send(running, signal)
  await exited
  expect(await database()).toBeUndefined()
  expect(await running.ended).toBe(0)
})

it('a signal in the middle of a start leaves nothing running', async () => {
  const running = run([...COMMAND, 'start'])
  await until(async () => (await database()) !== undefined)
  group(running, 'SIGINT')
  expect(await running.ended).toBe(0)
  expect(await database()).toBeUndefined()
})

it('a second signal ends at once; the next start takes the database over', async () => {
  const running = await start()
  const slow = connect(port, '127.0.0.1')
  slow.on('error', () => undefined)
  slow.write(`POST /token HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 10\r\n\r\nab`)
  await sleep(200)
  group(running, 'SIGINT')
  await until(() => running.out().includes('Stopping'))
  await sleep(600) // sooner it would be the same press
  expect(running.child.exitCode).toBeNull()
  group(running, 'SIGINT')
  const since = performance.now()
  expect(await running.ended).toBe(1)
  expect(performance.now() - since).toBeLessThan(3000)
  slow.destroy()

  const next = await start()
  group(next, 'SIGTERM')
  expect(await next.ended).toBe(0)
  expect(await database()).toBeUndefined()
})

it('kill -9 of the command ends the server behind it, and a start at once finds nothing in its way', async () => {
  const running = await start()
  alone(running, 'SIGKILL')
  const next = await start()
  await running.ended
  group(next, 'SIGINT')
  expect(await next.ended).toBe(0)
  expect(await database()).toBeUndefined()
})

it('a command that is interrupted says so, ends with 1, and stops the database it had started', async () => {
  const add = run([...COMMAND, 'user', 'add', 'ada@example.com', '--json'])
  expect(await add.ended).toBe(0)
  const running = run([...COMMAND, 'user', 'set-password', 'ada@example.com', '--stdin'])
  await until(async () => (await database()) !== undefined)
  await sleep(500) // it waits for standard input now
  group(running, 'SIGINT')
  expect(await running.ended).toBe(1)
  expect([running.out(), running.err()]).toEqual(['', expect.stringMatching(/^Interrupted\.\n.+\n$/)])
  expect(await database()).toBeUndefined()
})
