// Wrong input at the real command line: one clear message with what to do, the right exit code, nothing on standard output,
// nothing lost.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { cleanEnv, type ServerProcess, startProcess } from '../helpers/process.ts'
import { freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')
const WITHIN = 25_000

let home: TestServer
let folder: string
let taken: { server: Server; port: number }
let good: Record<string, string> & { PORT: string }

beforeAll(async () => {
  home = await startTestServer()
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-wrong-'))
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  taken = { server, port: (server.address() as { port: number }).port }
  good = {
    PORT: String(await freePort()),
    DATABASE_URL: home.database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'warn',
  }
  await writeFile(join(folder, 'broken.yaml'), 'clients:\n  - id: [unclosed\n')
  await writeFile(join(folder, 'faults.yaml'), 'clients:\n  - { id: usr_x, name: "", kind: robot }\nresouces: []\n')
})
afterAll(async () => {
  taken?.server.close()
  await home?.stop()
  await rm(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function gatehouse(args: readonly string[], env: Record<string, string>): Promise<Ended> {
  const child: ChildProcess = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const late = setTimeout(() => child.kill('SIGKILL'), WITHIN)
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [out, err] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  clearTimeout(late)
  return { code: await code, out, err }
}

/** A message for people: no stack, no internals, and not many lines. */
function expectClear({ code, out, err }: Ended, exit: 1 | 2, words: RegExp): void {
  expect({ code, out, err }).toEqual({ code: exit, out: '', err: expect.stringMatching(words) })
  expect(err).not.toMatch(/^\s+at |node_modules|Error:.*\n\s+at /m)
  expect(err.trim().split('\n').length).toBeLessThanOrEqual(8)
}

it.each<[string, string[], RegExp]>([
  ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
  ['a command that is nearly right', ['clients', 'list'], /unknown command 'clients'/],
  ['an unknown option', ['status', '--frob'], /unknown option '--frob'/],
  ['a missing argument', ['client', 'show'], /missing required argument/],
  ['one argument too many', ['keys', 'list', 'all'], /too many arguments/],
  [
    'a secret on the command line',
    ['user', 'set-password', 'ada@example.com', '--password', 'x'],
    /standard input|--stdin/,
  ],
])('wrong usage: %s ends with 2', async (_what, args, words) => {
  for (const more of [[], ['--json']]) expectClear(await gatehouse([...args, ...more], good), 2, words)
})

it.each<[string, () => string[], Record<string, string>, RegExp]>([
  ['a document that is no YAML', () => ['apply', join(folder, 'broken.yaml')], {}, /line 3|line 2/],
  [
    'a document with faults',
    () => ['apply', join(folder, 'faults.yaml')],
    {},
    /clients\[0\]\.id[\s\S]*did you mean resources/,
  ],
  ['a document that is not there', () => ['apply', join(folder, 'nowhere.yaml')], {}, /nowhere\.yaml/],
  ['a client that is not there', () => ['client', 'show', 'nobody'], {}, /There is no client "nobody"/],
  [
    'a database where nobody listens',
    () => ['status'],
    { DATABASE_URL: 'postgresql://x:y@127.0.0.1:9/z' },
    /nothing listens there/,
  ],
  [
    'a database host that does not exist',
    () => ['status'],
    { DATABASE_URL: 'postgresql://x@nowhere.invalid/z' },
    /nowhere\.invalid|cannot be/,
  ],
  ['a DATABASE_URL of another kind', () => ['status'], { DATABASE_URL: 'mysql://x/y' }, /DATABASE_URL must look like/],
  [
    'a wrong secret',
    () => ['status'],
    { GATEHOUSE_SECRET: 'another secret, which is long enough' },
    /GATEHOUSE_SECRET/,
  ],
  [
    'an http issuer off loopback',
    () => ['start'],
    { GATEHOUSE_ISSUER: 'http://login.example.com' },
    /GATEHOUSE_ISSUER must be https/,
  ],
  ['several wrong settings, all told', () => ['start'], { PORT: 'x', LOG_LEVEL: 'loud' }, /PORT[\s\S]*LOG_LEVEL/],
])('%s ends with 1', async (_what, args, env, words) => {
  for (const more of [[], ['--json']]) expectClear(await gatehouse([...args(), ...more], { ...good, ...env }), 1, words)
})

it('a wrong role, and a database that is not there, are told with the place', async () => {
  const url = (change: (url: string) => string) => ({ ...good, DATABASE_URL: change(home.database.url) })
  const nobody = await gatehouse(
    ['status'],
    url((one) => one.replace('gatehouse@', 'nobody_here@')),
  )
  expectClear(nobody, 1, /nobody_here|role|peer|cannot be/i)
  const nowhere = await gatehouse(
    ['status'],
    url((one) => one.replace(/@\/\w+/, '@/not_there')),
  )
  expectClear(nowhere, 1, /not_there/)
})

it('a port in use is told, and the database goes on to work', async () => {
  expectClear(
    await gatehouse(['start'], { ...good, PORT: String(taken.port), HOST: '127.0.0.1' }),
    1,
    /Port \d+ .*in use/,
  )
  expect((await gatehouse(['status', '--json'], good)).code).toBe(0)
})

it('help and version work whatever the environment', async () => {
  const broken = { PORT: 'x', DATABASE_URL: 'nonsense' }
  for (const args of [['--help'], ['help'], ['client', '--help'], ['apply', '--help'], ['try', 'login', '--help']]) {
    const { code, out, err } = await gatehouse(args, broken)
    expect([args, code, err]).toEqual([args, 0, ''])
    expect(out).toContain('Usage: ')
  }
  expect((await gatehouse(['--version'], broken)).out).toMatch(/^\d+\.\d+\.\d+\n$/)
})

describe('with the embedded database', () => {
  let settings: Record<string, string> & { PORT: string }
  let running: ServerProcess | undefined
  let place: string

  beforeAll(async () => {
    settings = {
      PORT: String(await freePort()),
      GATEHOUSE_GATEWAY_PORT: String(await freePort()),
      GATEHOUSE_DATA_DIR: join(folder, 'data'),
      LOG_LEVEL: 'error',
    }
    running = await startProcess(settings)
    place = JSON.parse((await gatehouse(['status', '--json'], settings)).out).database.replace(/^.* in /, '')
  })
  afterAll(async () => {
    await running?.stop()
    if (place) await rm(place, { recursive: true, force: true })
  })

  it('a second start on the folder is refused by the pid of the first, which goes on', async () => {
    const second = { ...settings, PORT: String(await freePort()), GATEHOUSE_GATEWAY_PORT: String(await freePort()) }
    expectClear(await gatehouse(['start', '--json'], second), 1, new RegExp(`${running!.child.pid}`))
    expect((await fetch(`http://localhost:${settings.PORT}/readyz`)).status).toBe(200)
  })

  it('SIGTERM ends with 0; then another major version is refused and left untouched', async () => {
    expect(await running!.stop()).toBe(0)
    running = undefined
    const file = join(place, 'postgres/PG_VERSION')
    const before = await readFile(file, 'utf8')
    await writeFile(file, '16\n')
    expectClear(await gatehouse(['start', '--json'], settings), 1, /16[\s\S]*18|18[\s\S]*16/)
    expect(await readFile(file, 'utf8')).toBe('16\n')
    await writeFile(file, before)
    running = await startProcess(settings)
  })

  it('a lost secret is told, never replaced; restored, everything is there', async () => {
    expect(await running!.stop()).toBe(0)
    running = undefined
    const key = join(settings.GATEHOUSE_DATA_DIR!, 'secret.key')
    const secret = await readFile(key)
    await rm(key)
    expectClear(await gatehouse(['start', '--json'], settings), 1, /secret\.key/)
    await expect(readFile(key)).rejects.toThrow()
    await writeFile(key, secret, { mode: 0o600 })
    running = await startProcess(settings)
  })
})
