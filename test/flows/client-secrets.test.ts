// Secrets of clients change while servers run: as operators do it, by commands beside two processes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { basic } from '../helpers/flow.ts'
import { cleanEnv, type RawAnswer, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { untilBlocked } from '../helpers/until.ts'

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

/** Rotates beside the processes, as a command does, and sooner. */
async function rotate(wishes?: { overlap: number }): Promise<string> {
  const rotated = await home.rooms.clients.rotateSecret('billing', 'operator', wishes)
  if (!rotated.ok) throw new Error(rotated.reason)
  return rotated.secret
}
const secretsNow = () => home.rooms.clients.listSecrets('billing')
const BOTH = [200, 200]
const NEITHER = [401, 401]
/** Nodes hear of a change within a second. */
const heard = () => new Promise((resolve) => setTimeout(resolve, 1000))

it('S-070 two live secrets per client: both work in the overlap, then the old one expires by itself', async () => {
  const { clients, old_secrets_end } = await command(['client', 'rotate-secret', 'billing', '--overlap', '10s'])
  const second = clients.billing.client_secret
  await heard()
  expect([await works(first), await works(second)]).toEqual([BOTH, BOTH])
  expect(Date.now()).toBeLessThan(Date.parse(old_secrets_end))
  await new Promise((resolve) => setTimeout(resolve, Date.parse(old_secrets_end) - Date.now()))
  // Nothing tells the nodes; they look at the clock.
  expect([await works(first), await works(second)]).toEqual([NEITHER, BOTH])

  const third = await rotate()
  await heard()
  expect([await works(second), await works(third)]).toEqual([NEITHER, BOTH])
  expect(await secretsNow()).toHaveLength(1)
  first = third
})

/** Rotates while both nodes are asked with the secret of before. @returns the new secret, and which answers there were */
async function rotateUnderLoad(wishes?: { overlap: number }): Promise<{ fresh: string; seen: Set<number> }> {
  const seen = new Set<number>()
  const round = async () => {
    for (const answer of await Promise.all([0, 1, 0, 1].map((node) => ask(first, node)))) seen.add(answer.status)
  }
  await round()
  const [fresh] = await Promise.all([rotate(wishes), round(), round(), round()])
  for (let more = 0; more < 20; more++) await round()
  return { fresh, seen }
}

it('a rotation with an overlap while requests are under way refuses none', async () => {
  const { fresh, seen } = await rotateUnderLoad({ overlap: 3600 })
  expect(seen).toEqual(new Set([200]))
  await heard()
  expect([await works(first), await works(fresh)]).toEqual([BOTH, BOTH])
  first = fresh
})

it('a rotation without one is a yes or a no to each request, and a no on every node within a second', async () => {
  const { fresh, seen } = await rotateUnderLoad()
  expect([...seen].filter((status) => status !== 200 && status !== 401)).toEqual([])
  await heard()
  expect([await works(first), await works(fresh)]).toEqual([NEITHER, BOTH])
  first = fresh
})

it('of two rotations at once with an overlap both secrets work; without one, one', async () => {
  const overlapping = await Promise.all([rotate({ overlap: 3600 }), rotate({ overlap: 3600 })])
  await heard()
  expect(await Promise.all(overlapping.map(works))).toEqual([BOTH, BOTH])
  const plain = await Promise.all([rotate(), rotate()])
  await heard()
  const working = await Promise.all(plain.map(works))
  expect(working.map(String).sort()).toEqual([String(BOTH), String(NEITHER)])
  first = plain[working.findIndex((statuses) => String(statuses) === String(BOTH))]!
})

it.each([
  ['before its first write', 'client_secrets'],
  ['after its last write, before the commit', 'audit_entries'],
])(
  'a rotation that is killed %s has not happened: the old secret works, and nothing tells of a new one',
  async (_when, table) => {
    first = await rotate()
    const before = await secretsNow()
    const entries = `select id from audit_entries where kind = 'client.secret-rotated'`
    const told = (await home.database.pool().query(entries)).rowCount
    const holder = await home.database.pool().connect()
    await holder.query(`begin; lock table ${table} in share mode`)
    const child = startCommand(['client', 'rotate-secret', 'billing'])
    await untilBlocked(home.database.pool({ max: 1 }), 1)
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
  const used = secret!.lastUsedAt!.getTime()
  expect([used >= before, used <= Date.now()]).toEqual([true, true])
})
