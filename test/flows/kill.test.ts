// kill -9 of the server, of the database, or of both, in the middle of issuing, ten times: what was acknowledged is there
// afterwards, what was not is whole or absent, and nobody has to help. The embedded database forces everything to the disk,
// as in production. SEED=… repeats the moments and choices of a run.
import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import pg from 'pg'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainTokens, passPages, pkce, redeem, refresh } from '../helpers/flow.ts'
import { type Chain, type Ledger, seeded, startLoad } from '../helpers/load.ts'
import { cleanEnv, type ServerProcess, startProcess } from '../helpers/process.ts'
import { CALLBACK, freePort, PASSWORD, THINGS } from '../helpers/server.ts'

const ROUNDS = 10
const VICTIMS = ['server', 'database', 'both'] as const
/** SECURITY R-15: milliseconds until the embedded server serves again */
const BACK_WITHIN = 10_000
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

const seed = Number(process.env.SEED ?? randomInt(2 ** 32 - 1))
const random = seeded(seed)
const app = { id: 'spa' }
let folder: string
let place: string
let settings: Record<string, string> & { PORT: string }
let machine: { id: string; secret: string }
let api: { id: string; secret: string }
let server: ServerProcess | undefined
let at: { issuer: string }
let log = ''

beforeAll(async () => {
  process.stderr.write(`kill.test.ts: SEED=${seed}\n`)
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-kill-'))
  settings = {
    PORT: String(await freePort()),
    GATEHOUSE_GATEWAY_PORT: String(await freePort()),
    GATEHOUSE_DATA_DIR: join(folder, 'data'),
    LOG_LEVEL: 'warn',
  }
  at = { issuer: `http://localhost:${settings.PORT}` }
  server = await startProcess(settings)
  await writeFile(join(folder, 'things.yaml'), DOCUMENT)
  await gatehouse('', 'apply', join(folder, 'things.yaml'), '--secrets', join(folder, 'secrets.json'))
  await gatehouse(PASSWORD, 'user', 'set-password', 'ada@example.com', '--stdin')
  const written = JSON.parse(await readFile(join(folder, 'secrets.json'), 'utf8')).clients
  machine = { id: 'machine', secret: written.machine.client_secret }
  api = { id: 'things-api', secret: written['things-api'].client_secret }
  place = JSON.parse(await readFile(join(folder, 'data/database.json'), 'utf8')).place
  place = join(folder, 'data', place).replace(/^.*(?=\/var\/lib\/gatehouse\/)/, '')
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

async function register(id: string): Promise<string> {
  const options = ['--name', id, '--kind', 'web', '--redirect-uri', CALLBACK, '--scope', `${THINGS}=things:read`]
  return JSON.parse(await gatehouse('', 'client', 'add', id, ...options, '--json')).clients[id].client_secret
}

async function kill(victim: (typeof VICTIMS)[number]): Promise<void> {
  const postmaster = Number((await readFile(join(place, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
  const acts = [
    async () => void (victim !== 'server' && process.kill(postmaster, 'SIGKILL')),
    async () => void (victim !== 'database' && (await server!.kill())),
  ]
  if (random() < 0.5) acts.reverse()
  for (const act of acts) await act()
}

/** A killed server is started again; one whose database was killed brings it back. */
async function comeBack(victim: (typeof VICTIMS)[number]): Promise<void> {
  const since = performance.now()
  if (victim !== 'database') {
    log += server!.log()
    server = await startProcess(settings)
  }
  const ready = () => fetch(`${at.issuer}/readyz`).then(({ status }) => status === 200)
  while (!(await ready()) && performance.now() - since < BACK_WITHIN) await sleep(20)
  expect(await ready()).toBe(true)
  expect(performance.now() - since).toBeLessThan(BACK_WITHIN)
}

/** Tokens are as alive as their holders were told. */
async function checkTokens({ tokens, chains }: Ledger): Promise<void> {
  const asked = [...tokens, ...chains.flatMap(({ access, state }) => access.map((token) => [token, state] as const))]
  for (const [token, state] of asked) {
    if (state !== 'asked') expect((await introspect(at, api, token)).active).toBe(state === 'live')
  }
}

/** Each family has one head: the newest token that arrived, or the one successor that it leads to, however often. */
async function checkChain(chain: Chain): Promise<void> {
  const first = await refresh(at, app, chain.head)
  expect([first.status, first.body.error]).toEqual(
    chain.state === 'live' ? [200, undefined] : chain.state === 'ended' ? [400, 'invalid_grant'] : expect.anything(),
  )
  if (chain.state !== 'live') return
  const again = await refresh(at, app, chain.head)
  expect([again.status, again.body.refresh_token]).toEqual([200, first.body.refresh_token])
  chain.head = first.body.refresh_token
  chain.access.push(first.body.access_token, again.body.access_token)
}

/** A code is good once: for nothing after an answer, for one answer at most without. A replay ends the family. */
async function checkCodes({ chains, unanswered }: Ledger): Promise<void> {
  for (const got of unanswered) {
    expect([200, 400]).toContain((await redeem(at, app, got)).status)
    expect((await redeem(at, app, got)).body.error).toBe('invalid_grant')
  }
  const chain = chains.find(({ state }) => state === 'live')
  if (!chain) return
  expect((await redeem(at, app, chain)).body.error).toBe('invalid_grant')
  chain.state = 'ended'
  expect((await refresh(at, app, chain.head)).body.error).toBe('invalid_grant')
}

/** Clients are there with their secrets, and whom the person has allowed is not asked about again. */
async function checkClients({ clients, consents }: Ledger): Promise<void> {
  for (const client of clients) expect(await introspect(at, client, 'x')).toEqual({ active: false })
  if (consents.length === 0) return
  const browser = createBrowser(at.issuer)
  await passPages(browser, await browser.open(authorizeUrl(at, 'spa', pkce().challenge)))
  for (const id of consents) {
    const silent = { scope: 'openid things:read', prompt: 'none' }
    const { url } = await browser.open(authorizeUrl(at, id, pkce().challenge, silent))
    expect([id, url.searchParams.get('error'), url.searchParams.has('code')]).toEqual([id, null, true])
  }
}

async function checkIdTokens({ idTokens }: Ledger): Promise<void> {
  const keys = createLocalJWKSet((await (await fetch(`${at.issuer}/jwks`)).json()) as JSONWebKeySet)
  for (const token of idTokens) await jwtVerify(token, keys, { issuer: at.issuer, audience: 'spa' })
}

const ledgers: Ledger[] = []
afterEach(() => {
  log += server?.log() ?? ''
})

it(`R-15 ${ROUNDS} times: nothing acknowledged is lost, nothing ended comes back, nobody has to help`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const victim = VICTIMS[round % VICTIMS.length]!
    const { ledger, stop } = startLoad({ issuer: at.issuer, machine, app, register, random }, `round-${round}`)
    await sleep(400 + random() * 1600)
    await kill(victim)
    const stopped = stop()
    await comeBack(victim)
    await stopped
    // A client whose last answer was lost asks again within the grace period: so the chains come first.
    for (const chain of ledger.chains) await checkChain(chain)
    await checkCodes(ledger)
    await checkTokens(ledger)
    await checkClients(ledger)
    ledgers.push(ledger)
  }
}, 120_000)

it('R-15 in the end everything of every round is there, and the audit tells of each change once', async () => {
  for (const ledger of ledgers) {
    await checkTokens(ledger)
    await checkClients(ledger)
    await checkIdTokens(ledger)
  }
  const count = (values: number[]) => values.reduce((sum, value) => sum + value, 0)
  expect(count(ledgers.map(({ tokens }) => tokens.size))).toBeGreaterThan(ROUNDS * 10)
  expect(count(ledgers.map(({ chains }) => chains.length))).toBeGreaterThan(ROUNDS * 2)
  expect(count(ledgers.map(({ consents }) => consents.length))).toBeGreaterThan(1)
  const client = new pg.Client({ host: join(place, 'socket'), user: 'gatehouse', database: 'gatehouse', ssl: false })
  await client.connect()
  const { rows } = await client.query(`
    with told as (select kind, count(*)::int as n from audit_entries group by kind),
      machine as (select kind, count(*)::int as n from audit_entries where actor = 'client:machine' group by kind)
    select (select n from machine where kind = 'token.issued') - (select n from machine where kind = 'token.revoked') as tokens_told,
      (select count(*)::int from access_tokens where grant_hash is null) as tokens,
      (select n from told where kind = 'family.started')
        - (select sum(n)::int from told where kind in ('family.ended', 'code.replayed')) as families_told,
      (select count(*)::int from refresh_families) as families`)
  await client.end()
  expect(rows[0]).toMatchObject({ tokens: rows[0].tokens_told, families: rows[0].families_told })
})

it('R-15 nothing that is worth stealing is in the logs', async () => {
  const logs = `${log}${server!.log()}${await readFile(join(place, 'postgres.log'), 'utf8')}`
  const values = ledgers.flatMap(({ tokens, chains, clients }) => [
    ...tokens.keys(),
    ...chains.flatMap(({ code, head, access }) => [code, head, ...access]),
    ...clients.map(({ secret }) => secret),
  ])
  expect(logs).toContain('database system is ready')
  expect([PASSWORD, machine.secret, ...values].filter((value) => logs.includes(value))).toEqual([])
})

it('R-15 people sign in as before, and a stop takes the database along', async () => {
  expect((await obtainTokens(at, app, { scope: 'openid things:read' })).status).toBe(200)
  expect(await server!.stop()).toBe(0)
  server = undefined
  await expect(readFile(join(place, 'postgres/postmaster.pid'))).rejects.toThrow('ENOENT')
})
