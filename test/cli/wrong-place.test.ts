// A data folder, a port or a database account that cannot be used, at the real command line: one clear message on standard
// error, nothing on standard output, exit code 1, nothing lost.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type EmbeddedDatabase, launchPostgres } from '../../src/postgres/launch.ts'
import { cleanEnv } from '../helpers/process.ts'
import { freePort, TEST_SECRET } from '../helpers/server.ts'
import { endAll, newDataDir, ordinary, query, removeAll } from '../postgres/launched.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')
const WITHIN = 25_000

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function gatehouse(args: readonly string[], env: Record<string, string>, as = {}): Promise<Ended> {
  const command = ['--disable-warning=ExperimentalWarning', MAIN, ...args]
  const settings = { PORT: '65001', GATEHOUSE_GATEWAY_PORT: '65002', LOG_LEVEL: 'warn', ...env }
  const child: ChildProcess = spawn(process.execPath, command, { ...as, cwd: '/', env: cleanEnv(settings) })
  child.stdin!.end()
  const late = setTimeout(() => child.kill('SIGKILL'), WITHIN)
  const [out, err, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')])
  clearTimeout(late)
  return { code, out, err }
}

/** Two sentences: what happened, and what to do. */
async function expectClear(words: RegExp, args: readonly string[], env: Record<string, string>, as = {}) {
  const ended = await gatehouse(args, env, as)
  expect(ended).toEqual({ code: 1, out: '', err: expect.stringMatching(words) })
  expect(ended.err.trim().split('\n')).toHaveLength(2)
  return ended
}

afterAll(async () => {
  await endAll()
  removeAll()
})

describe('a data folder', () => {
  const asOrdinary = ordinary ? it : it.skip
  asOrdinary('that this user may not write is told', async () => {
    const dataDir = newDataDir()
    const parent = dirname(dataDir)
    chmodSync(parent, 0o555)
    const words =
      /^The data folder .+\/data cannot be used: this user may not read and write it\.\n.*GATEHOUSE_DATA_DIR/
    await expectClear(words, ['start'], { GATEHOUSE_DATA_DIR: dataDir }, ordinary?.as)
    expect(readdirSync(parent)).toEqual([])
  })

  it('that is a file is told', async () => {
    const file = newDataDir()
    writeFileSync(file, 'precious')
    const words = /^The data folder .+ cannot be used: a file is in the way\.\n.*GATEHOUSE_DATA_DIR/
    await expectClear(words, ['client', 'list', '--json'], { GATEHOUSE_DATA_DIR: file })
    await expectClear(words, ['start'], { GATEHOUSE_DATA_DIR: join(file, 'below') })
  })

  it('that holds something else is told, and left alone', async () => {
    const dataDir = newDataDir()
    mkdirSync(join(dataDir, 'postgres'), { recursive: true })
    writeFileSync(join(dataDir, 'postgres/thesis.txt'), 'precious')
    await expectClear(/is not empty, and what is in it is not a PostgreSQL database/, ['start'], {
      GATEHOUSE_DATA_DIR: dataDir,
    })
    expect(readdirSync(join(dataDir, 'postgres'))).toEqual(['thesis.txt'])
  })
})

describe('an address', () => {
  let taken: Server
  const dataDir = newDataDir()
  const portOf = (server: Server) => String((server.address() as { port: number }).port)

  beforeAll(async () => {
    mkdirSync(dataDir)
    chmodSync(dataDir, 0o711) // as root, too, the database stays in the folder, which is deleted in the end
    taken = createServer()
    await once(taken.listen(0, '127.0.0.1'), 'listening')
  })
  afterAll(() => void taken.close())

  it('that is taken is told, for the server and for the gateway; the database is stopped again', async () => {
    const PORT = String(await freePort())
    const env = { GATEHOUSE_DATA_DIR: dataDir, PORT }
    await expectClear(/^Port \d+ on 127\.0\.0\.1 is in use\.\n.*PORT/, ['start'], { ...env, PORT: portOf(taken) })
    await expectClear(/^Port \d+ .*gateway.* is in use\.\n.*GATEHOUSE_GATEWAY_PORT/, ['start'], {
      ...env,
      GATEHOUSE_GATEWAY_PORT: portOf(taken),
    })
    expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false)
    expect((await gatehouse(['status', '--json'], env)).code).toBe(0)
  })

  it('that this machine does not have is told', async () => {
    const env = { GATEHOUSE_DATA_DIR: dataDir, HOST: '192.0.2.1' }
    await expectClear(/^192\.0\.2\.1 is not an address of this machine\.\n.*HOST/, ['start'], env)
  })
})

describe('an account of a database server', () => {
  let server: EmbeddedDatabase
  const url = (who: string, database = 'gatehouse') =>
    `postgresql://${who}@/${database}?host=${encodeURIComponent(server.connection.host)}&port=${server.connection.port}`
  const at = (DATABASE_URL: string) => ({ DATABASE_URL, GATEHOUSE_SECRET: TEST_SECRET })

  beforeAll(async () => {
    const dataDir = newDataDir()
    mkdirSync(dataDir)
    chmodSync(dataDir, 0o711)
    server = await launchPostgres({ dataDir, role: 'server', noSync: true })
    // Passwords, which the embedded server does without, for everybody but its own role.
    writeFileSync(
      join(server.place, 'pg_hba.conf'),
      'local all gatehouse peer map=gatehouse\nlocal all all scram-sha-256\n',
    )
    await query(
      server,
      `create role app login password 'right'`,
      'create database owned owner app',
      'select pg_reload_conf()',
    )
  })
  afterAll(() => server?.stop())

  it('with the wrong password is told, without the password', async () => {
    const words = /password authentication failed for user "app"\.\n.*DATABASE_URL/
    const { err } = await expectClear(words, ['start', '--json'], at(url('app:hunter2', 'owned')))
    expect(err).not.toContain('hunter2')
    await expectClear(/authentication failed for user "nobody_here"/, ['user', 'list'], at(url('nobody_here:x')))
  })

  it('that names no database of that server is told', async () => {
    const words = /database "nowhere" does not exist\.\nCreate it .*DATABASE_URL/
    await expectClear(words, ['start'], at(url('app:right', 'nowhere')))
  })

  it('that may not create tables is told what is missing, and works once it may', async () => {
    await expectClear(/permission denied.*\n.*GATEHOUSE_MIGRATE_URL/, ['migrate'], at(url('app:right')))
    const { code, out } = await gatehouse(['migrate', '--json'], at(url('app:right', 'owned')))
    expect([code, JSON.parse(out).applied.length]).toEqual([0, expect.any(Number)])
  })
})
