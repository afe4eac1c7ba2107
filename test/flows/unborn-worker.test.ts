// A worker that cannot be started: no process is left, no file, or the program is being replaced.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, linkSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnv, send } from '../helpers/process.ts'
import { freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
const node = join(folder, 'node')

let home: TestServer
let keeper: ChildProcess | undefined

beforeAll(async () => {
  home = await startTestServer()
  try {
    linkSync(process.execPath, node)
  } catch {
    copyFileSync(process.execPath, node) // on another disk
  }
})
afterEach(() => keeper?.kill('SIGKILL'))
afterAll(async () => {
  await home?.stop()
  rmSync(folder, { recursive: true })
})

const workersOf = ({ pid }: ChildProcess) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

it('is tried again until it can, while the others serve; the order to stop is obeyed meanwhile, too', async () => {
  const port = await freePort()
  const settings = { PORT: String(port), DATABASE_URL: home.database.url, GATEHOUSE_SECRET: TEST_SECRET, WORKERS: '2' }
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', MAIN, 'start', '--json'], {
    env: cleanEnv({ ...settings, LOG_LEVEL: 'error' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  keeper = child
  let [out, log] = ['', '']
  child.stdout.on('data', (data) => {
    out += data
  })
  child.stderr.on('data', (data) => {
    log += data
  })
  const ready = async () => (await send(port, '/readyz', { headers: { connection: 'close' } })).status === 200
  await until(() => out.includes('"ready":true'))
  const failures = () => log.split('ENOENT').length - 1

  renameSync(node, `${node}.away`)
  process.kill(workersOf(child)[0]!, 'SIGKILL')
  await until(() => failures() > 1)
  expect(await ready()).toBe(true)
  renameSync(`${node}.away`, node)
  await until(() => workersOf(child).length === 2)

  renameSync(node, `${node}.away`)
  const before = failures()
  process.kill(workersOf(child)[0]!, 'SIGKILL')
  await until(() => failures() > before)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})
