// kill -9 of the server, of the database, or of both, in the middle of issuing, ten times: what was acknowledged is there
// after the next start, which needs no hand. The embedded database forces everything to the disk, as in production.
import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBrowser } from '../helpers/browser.ts'
import { basic, introspect, obtainCode, post, redeem, refresh } from '../helpers/flow.ts'
import { cleanEnv, type ServerProcess, startProcess } from '../helpers/process.ts'
import { CALLBACK, freePort, PASSWORD, THINGS } from '../helpers/server.ts'

const ROUNDS = 10
const VICTIMS = ['server', 'database', 'both'] as const
const MAIN = join(import.meta.dirname, '../../src/main.ts')

const DOCUMENT = `
resources:
  - id: ${THINGS}
    name: Things
    tokens: { format: opaque }
    scopes: { things:read: See your things }
clients:
  - { id: machine, name: Machine, kind: service, scopes: { ${THINGS}: [things:read] } }
  - { id: things-api, name: Things API, kind: service, serves: [${THINGS}] }
  - { id: spa, name: Our app, kind: spa, first_party: true, redirect_uris: ['${CALLBACK}'], scopes: { ${THINGS}: [things:read] } }
users:
  - { email: ada@example.com, name: Ada Lovelace }
`

let folder: string
let place: string
let settings: Record<string, string> & { PORT: string }
let secrets: Record<string, string>
let server: ServerProcess | undefined
const issuer = () => `http://localhost:${settings.PORT}`
const at = () => ({ issuer: issuer() })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-kill-'))
  settings = {
    PORT: String(await freePort()),
    GATEHOUSE_GATEWAY_PORT: String(await freePort()),
    GATEHOUSE_DATA_DIR: join(folder, 'data'),
    LOG_LEVEL: 'error',
  }
  server = await startProcess(settings)
  await writeFile(join(folder, 'things.yaml'), DOCUMENT)
  await gatehouse('', 'apply', join(folder, 'things.yaml'), '--secrets', join(folder, 'secrets.json'))
  await gatehouse(PASSWORD, 'user', 'set-password', 'ada@example.com', '--stdin')
  const written = JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8')).clients
  secrets = { machine: written.machine.client_secret, api: written['things-api'].client_secret }
  place = JSON.parse(await gatehouse('', 'status', '--json')).database.replace(/^.* in /, '')
})
afterAll(async () => {
  await server?.stop()
  for (const left of [place, folder]) if (left) await rm(left, { recursive: true, force: true })
})

function gatehouse(input: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const command = ['--disable-warning=ExperimentalWarning', MAIN, ...args]
    const child = execFile(process.execPath, command, { env: cleanEnv(settings) }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout),
    )
    child.stdin!.end(input)
  })
}

/** What clients were told: answers that reached them. */
interface Acknowledged {
  readonly tokens: Set<string>
  readonly revoked: Set<string>
  /** revocations that were asked for: without an answer nobody knows whether they happened */
  readonly asked: Set<string>
  readonly codes: { code: string; verifier: string }[]
  readonly clients: string[]
  /** newest refresh token of a chain */
  chain: string
}

/** Keeps at it until the server no longer answers. */
async function load(done: Acknowledged, round: number): Promise<void> {
  const machine = { id: 'machine', secret: secrets.machine! }
  const forever = async (work: () => Promise<void>) => {
    for (;;) await work()
  }
  const issuing = forever(async () => {
    const { status, body } = await post(at(), '/token', { grant_type: 'client_credentials' }, machine)
    if (status === 200) done.tokens.add(body.access_token)
    else if (status >= 500) throw new Error('the database is gone')
  })
  const revoking = forever(async () => {
    const [token] = [...done.tokens].filter((one) => !done.revoked.has(one)).slice(-3)
    if (!token) return void (await new Promise((resolve) => setTimeout(resolve, 5)))
    done.asked.add(token)
    const { status } = await post(at(), '/revoke', { token }, machine)
    if (status === 200) done.revoked.add(token)
    else throw new Error('the database is gone')
  })
  const rotating = forever(async () => {
    const { status, body } = await refresh(at(), { id: 'spa' }, done.chain)
    if (status === 200) done.chain = body.refresh_token
    else throw new Error('the database is gone')
  })
  const browser = createBrowser(issuer())
  const redeeming = forever(async () => {
    const got = await obtainCode(at(), 'spa', { scope: 'openid things:read' }, browser)
    const { status } = await redeem(at(), { id: 'spa' }, got)
    if (status === 200) done.codes.push(got)
    else throw new Error('the database is gone')
  })
  const registering = (async () => {
    if (round % 3 !== 0) return
    const id = `made-in-${round}`
    await gatehouse('', 'client', 'add', id, '--name', id, '--kind', 'service')
    done.clients.push(id)
  })()
  await Promise.allSettled([issuing, revoking, rotating, redeeming, registering])
}

async function kill(victim: (typeof VICTIMS)[number]): Promise<void> {
  const postmaster = Number(readFileSync(join(place, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])
  if (victim !== 'server') process.kill(postmaster, 'SIGKILL')
  if (victim !== 'database') await server!.kill()
}

it(`R-15 ${ROUNDS} times: nothing acknowledged is lost, nothing ended comes back, nobody has to help`, async () => {
  const done: Acknowledged = {
    tokens: new Set(),
    revoked: new Set(),
    asked: new Set(),
    codes: [],
    clients: [],
    chain: '',
  }
  const api = { id: 'things-api', secret: secrets.api! }
  const first = await redeem(at(), { id: 'spa' }, await obtainCode(at(), 'spa', { scope: 'openid things:read' }))
  done.chain = first.body.refresh_token

  for (let round = 0; round < ROUNDS; round++) {
    const victim = VICTIMS[round % VICTIMS.length]!
    const loading = load(done, round)
    await new Promise((resolve) => setTimeout(resolve, randomInt(250, 700) + (round % 3 === 0 ? 600 : 0)))
    await kill(victim)
    await loading
    // A server whose database died says so and is started again by whoever watches it.
    if (victim === 'database') await server!.kill()
    server = await startProcess(settings)

    for (const token of [...done.tokens].slice(-40)) {
      if (done.asked.has(token) && !done.revoked.has(token)) continue
      const { active } = await introspect(at(), api, token)
      expect([round, victim, active]).toEqual([round, victim, !done.revoked.has(token)])
    }
    const next = await refresh(at(), { id: 'spa' }, done.chain)
    expect([round, victim, next.status, next.body.error]).toEqual([round, victim, 200, undefined])
    done.chain = next.body.refresh_token
    for (const got of done.codes.slice(-3)) {
      expect((await redeem(at(), { id: 'spa' }, got)).body.error).toBe('invalid_grant')
    }
  }

  expect(done.tokens.size).toBeGreaterThan(ROUNDS * 5)
  expect(done.revoked.size).toBeGreaterThan(ROUNDS)
  const listed = JSON.parse(await gatehouse('', 'client', 'list', '--json')).clients.map(({ id }: { id: string }) => id)
  expect(listed).toEqual(expect.arrayContaining(done.clients))
  const { rows } = await heads()
  expect(rows).toEqual([])
}, 120_000)

/** Refresh families that could have two live heads: a row is one family, so none may be there twice. */
async function heads(): Promise<{ rows: object[] }> {
  const { Client } = (await import('pg')).default
  const client = new Client({ host: join(place, 'socket'), user: 'gatehouse', database: 'gatehouse', ssl: false })
  await client.connect()
  try {
    return await client.query('select current_hash from refresh_families group by current_hash having count(*) > 1')
  } finally {
    await client.end()
  }
}

it('the server that runs now can be signed in to', async () => {
  const again = await redeem(at(), { id: 'spa' }, await obtainCode(at(), 'spa'))
  expect(again.status).toBe(200)
  expect(
    (await fetch(`${issuer()}/userinfo`, { headers: { authorization: `Bearer ${again.body.access_token}` } })).status,
  ).toBe(200)
  expect(
    (
      await fetch(`${issuer()}/introspect`, {
        method: 'POST',
        headers: basic('things-api', secrets.api!),
        body: new URLSearchParams({ token: 'x' }),
      })
    ).status,
  ).toBe(200)
})
