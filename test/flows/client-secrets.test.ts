// Secrets of clients change while servers run: as operators do it, by commands beside two processes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { basic } from '../helpers/flow.ts'
import { cleanEnv, type RawAnswer, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'

const ROOT = join(import.meta.dirname, '../..')

let home: TestServer
let pair: ServerProcess[]
let settings: Record<string, string>
let first: string

beforeAll(async () => {
  home = await startTestServer()
  first = (await addCast(home)).billing
  const ports = [await freePort(), await freePort()]
  settings = {
    GATEHOUSE_ISSUER: `http://localhost:${ports[0]}`,
    DATABASE_URL: home.database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  }
  pair = await Promise.all(ports.map((port) => startProcess({ ...settings, PORT: String(port) })))
})
afterAll(async () => {
  await Promise.all((pair ?? []).map((one) => one.stop()))
  await home?.stop()
})

function startCommand(args: readonly string[]) {
  return spawn(process.execPath, [join(ROOT, 'src/main.ts'), ...args, '--json'], {
    env: cleanEnv(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs a command in a process of its own. @returns its JSON answer */
// biome-ignore lint/suspicious/noExplicitAny: answers of many commands
async function command(args: readonly string[]): Promise<any> {
  const child = startCommand(args)
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  await once(child, 'close')
  return JSON.parse(out)
}

function ask(secret: string, node: number): Promise<RawAnswer> {
  const host = new URL(settings.GATEHOUSE_ISSUER!).host
  const form = { grant_type: 'client_credentials' }
  return send(pair[node]!.port, '/token', { form, headers: { ...basic('billing', secret), host } })
}

const works = async (secret: string) =>
  (await Promise.all([0, 1].map((node) => ask(secret, node)))).map(({ status }) => status)

const rotate = (...options: string[]) => command(['client', 'rotate-secret', 'billing', ...options])
const secretsNow = async () => (await command(['client', 'secrets', 'billing'])).secrets
const BOTH = [200, 200]
const NEITHER = [401, 401]
/** Nodes hear of a change within a second. */
const heard = () => new Promise((resolve) => setTimeout(resolve, 1000))

it('S-070 two live secrets per client: both work in the overlap, then the old one expires by itself', async () => {
  const { clients, old_secrets_end } = await rotate('--overlap', '6s', '--name', 'second')
  const second = clients.billing.client_secret
  await heard()
  expect([await works(first), await works(second)]).toEqual([BOTH, BOTH])
  expect(Date.now()).toBeLessThan(Date.parse(old_secrets_end))
  await new Promise((resolve) => setTimeout(resolve, Date.parse(old_secrets_end) - Date.now()))
  // Nothing tells the nodes; they look at the clock.
  expect([await works(first), await works(second)]).toEqual([NEITHER, BOTH])

  const third = (await rotate()).clients.billing.client_secret
  await heard()
  expect([await works(second), await works(third)]).toEqual([NEITHER, BOTH])
  expect(await secretsNow()).toHaveLength(1)
  first = third
})

it('a rotation with an overlap while requests are under way refuses none', async () => {
  let rotated = false
  const fresh = rotate('--overlap', '1h').then((answer) => {
    rotated = true
    return answer.clients.billing.client_secret as string
  })
  const seen = new Set<number>()
  for (let round = 0; !rotated && round < 2000; round++)
    for (const answer of await Promise.all([0, 1, 0, 1].map((node) => ask(first, node)))) seen.add(answer.status)
  expect(seen).toEqual(new Set([200]))
  const second = await fresh
  await heard()
  expect([await works(first), await works(second)]).toEqual([BOTH, BOTH])
  first = second
})

it.each([
  ['before its first write', 'client_secrets'],
  ['after its last write, before the commit', 'audit_entries'],
])(
  'a rotation that is killed %s has not happened: the old secret works, and nothing tells of a new one',
  async (_when, table) => {
    first = (await rotate()).clients.billing.client_secret
    const before = await secretsNow()
    const entries = `select id from audit_entries where kind = 'client.secret-rotated'`
    const told = (await home.database.pool().query(entries)).rowCount
    const holder = await home.database.pool().connect()
    await holder.query(`begin; lock table ${table} in share mode`)
    const child = startCommand(['client', 'rotate-secret', 'billing'])
    const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    for (let tries = 0; (await home.database.pool().query(waiting)).rowCount === 0; tries++) {
      if (tries === 200) throw new Error('the rotation never came to the lock')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    child.kill('SIGKILL')
    await once(child, 'close')
    await holder.query('commit')
    holder.release()
    await heard()
    expect(await works(first)).toEqual(BOTH)
    expect(await secretsNow()).toEqual(before)
    expect((await home.database.pool().query(entries)).rowCount).toBe(told)
  },
)

it('the last use of a secret is written beside the requests, at the latest when a server stops', async () => {
  await heard()
  const before = Date.now()
  expect(await works(first)).toEqual(BOTH)
  await Promise.all(pair.map((one) => one.stop()))
  const [secret] = await secretsNow()
  const used = Date.parse(secret.last_used_at)
  expect([used >= before, used <= Date.now()]).toEqual([true, true])
})
