// A server whose words nobody can take goes on serving: a full disk, a device that is always full, a pipe that was closed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { cleanEnv, send } from '../helpers/process.ts'
import { freePort, TEST_SECRET } from '../helpers/server.ts'

const ROOT = join(import.meta.dirname, '../..')

let database: TestDatabase
let child: ChildProcess | undefined
beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await database.drop()
})

async function start(stdout: number | 'pipe', stderr: number | 'pipe'): Promise<number> {
  const port = await freePort()
  const settings = { PORT: String(port), DATABASE_URL: database.url, GATEHOUSE_SECRET: TEST_SECRET, LOG_LEVEL: 'trace' }
  const command = ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'start', '--json']
  child = spawn(process.execPath, command, { cwd: ROOT, env: cleanEnv(settings), stdio: ['ignore', stdout, stderr] })
  const until = performance.now() + 15_000
  while (performance.now() < until && child.exitCode === null) {
    if ((await health(port).catch(() => 0)) === 200) return port
    await sleep(50)
  }
  throw new Error(`it did not start: ${child.exitCode}`)
}

const health = async (port: number) => (await send(port, '/healthz')).status

async function servesAndStops(port: number): Promise<void> {
  for (let turn = 0; turn < 20; turn++) expect(await health(port)).toBe(200)
  child!.kill('SIGTERM')
  expect(await once(child!, 'exit')).toEqual([0, null])
}

const itOnLinux = process.platform === 'linux' ? it : it.skip

itOnLinux('R-30 a server whose output and log go to a full device serves, and stops in good order', async () => {
  const full = openSync('/dev/full', 'w')
  await servesAndStops(await start(full, full).finally(() => closeSync(full)))
})

it('R-30 a server whose log nobody reads, although the pipe is open, serves, and stops in good order', async () => {
  const port = await start('pipe', 'pipe')
  // More than a pipe holds.
  for (let turn = 0; turn < 20; turn++) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => health(port)))
    expect(new Set(answers)).toEqual(new Set([200]))
  }
  await servesAndStops(port)
})

it('R-30 a server whose output and log nobody reads any more serves, and stops in good order', async () => {
  const port = await start('pipe', 'pipe')
  child!.stdout!.destroy()
  child!.stderr!.destroy()
  await servesAndStops(port)
})
