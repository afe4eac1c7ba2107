// Gatehouse as one person runs it: with the embedded database, in a folder of its own, set up by the command line.
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { cleanEnv, type ServerProcess, startProcess } from '../test/helpers/process.ts'
import { CALLBACK, freePort, PASSWORD, THINGS } from '../test/helpers/server.ts'
import { watchChanges } from './changes.ts'
import type { Bench } from './experiment.ts'

const MAIN = join(import.meta.dirname, '../src/main.ts')

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

export interface Embedded {
  readonly issuer: string
  readonly settings: Record<string, string> & { PORT: string }
  /** GATEHOUSE_DATA_DIR */
  readonly dataDir: string
  /** the folder that holds `postgres/`, `postgres.log` and the owner file */
  readonly place: string
  readonly machine: { id: string; secret: string }
  readonly api: { id: string; secret: string }
  /** the process that runs now, or ran last */
  server(): ServerProcess
  /** Runs a command. @param input what it reads from standard input @throws with what it said when it fails */
  gatehouse(input: string, ...args: string[]): Promise<string>
  /** Adds a third-party web client. @returns its secret */
  register(id: string): Promise<string>
  /** @returns process id of the database server, or undefined when none runs, whatever its lock file says */
  postmaster(): Promise<number | undefined>
  /** Kills both, the database first. */
  killBoth(): Promise<void>
  /** Starts the server again, after it has ended. @returns milliseconds until it says that it is ready */
  restart(): Promise<number>
  /** Waits until it serves. @returns milliseconds that took, or undefined when it did not */
  ready(within: number): Promise<number | undefined>
  /** a connection to the database beside the server; end it before the database is killed */
  connect(): Promise<pg.Client>
  /** what all its servers and its database have logged */
  logs(): Promise<string[]>
}

/**
 * Makes an installation, with the oracle's triggers in its database, and starts its server. The bench takes it down.
 * @param whole all of it lies in the data folder, also for root, who else keeps the database apart from it
 */
export async function startEmbedded(bench: Bench, { whole = false } = {}): Promise<Embedded> {
  const name = 'data'
  const dataDir = join(bench.folder, name)
  // A data folder that the database's user can pass holds the database itself.
  if (whole) {
    await chmod(bench.folder, 0o711)
    await mkdir(dataDir, { mode: 0o711 })
  }
  const settings = {
    PORT: String(await freePort()),
    GATEHOUSE_GATEWAY_PORT: String(await freePort()),
    GATEHOUSE_DATA_DIR: dataDir,
    // What was on its way at a kill is spent: a few of them would leave the one person of the load without a try.
    GATEHOUSE_PROFILE: 'test',
    LOG_LEVEL: 'trace',
  }
  const issuer = `http://localhost:${settings.PORT}`
  let server = await startProcess(settings)
  bench.after(() => server.stop())
  const place = await placeOf(dataDir)
  bench.after(() => rm(place, { recursive: true, force: true }))
  const gone: ServerProcess[] = []

  const gatehouse = (input: string, ...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const command = ['--disable-warning=ExperimentalWarning', MAIN, ...args]
      const child = execFile(process.execPath, command, { env: cleanEnv(settings) }, (error, stdout, stderr) =>
        error ? reject(new Error(stderr || error.message)) : resolve(stdout),
      )
      child.stdin!.end(input)
    })
  const connect = async () => {
    const client = new pg.Client({ host: join(place, 'socket'), user: 'gatehouse', database: 'gatehouse', ssl: false })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  const postmaster = async () => {
    const lock = await readFile(join(place, 'postgres/postmaster.pid'), 'utf8').catch(() => undefined)
    const pid = Number(lock?.split('\n')[0])
    return lock !== undefined && isAlive(pid) ? pid : undefined
  }

  const watcher = await connect()
  await watchChanges(watcher)
  await watcher.end()
  const secrets = join(bench.folder, `${name}-secrets.json`)
  await writeFile(join(bench.folder, `${name}.yaml`), DOCUMENT)
  await gatehouse('', 'apply', join(bench.folder, `${name}.yaml`), '--secrets', secrets)
  await gatehouse(PASSWORD, 'user', 'set-password', 'ada@example.com', '--stdin')
  const { clients } = JSON.parse(await readFile(secrets, 'utf8'))
  const [machine, api] = ['machine', 'things-api'].map((id) => ({ id, secret: clients[id].client_secret as string }))
  for (const secret of [PASSWORD, machine!.secret, api!.secret]) bench.canaries.add(secret)

  return {
    issuer,
    settings,
    dataDir,
    place,
    machine: machine!,
    api: api!,
    server: () => server,
    gatehouse,
    async register(id) {
      const options = ['--name', id, '--kind', 'web', '--redirect-uri', CALLBACK, '--scope', `${THINGS}=things:read`]
      return JSON.parse(await gatehouse('', 'client', 'add', id, ...options, '--json')).clients[id].client_secret
    },
    postmaster,
    async killBoth() {
      process.kill((await postmaster())!, 'SIGKILL')
      await server.kill()
    },
    async restart() {
      const since = performance.now()
      gone.push(server)
      server = await startProcess(settings)
      return performance.now() - since
    },
    async ready(within) {
      const since = performance.now()
      while (performance.now() - since < within) {
        const answer = await fetch(`${issuer}/readyz`).catch(() => undefined)
        if (answer?.status === 200) return performance.now() - since
        await sleep(20)
      }
      return undefined
    },
    connect,
    logs: async () => [
      ...[...gone, server].map((one) => one.log()),
      await readFile(join(place, 'postgres.log'), 'utf8').catch(() => ''),
    ],
  }
}

/** @returns where the database of a data folder lies: beside it, or, for root, in a folder that PostgreSQL's user can enter */
async function placeOf(dataDir: string): Promise<string> {
  const { place } = JSON.parse(await readFile(join(dataDir, 'database.json'), 'utf8'))
  return join(dataDir, place).replace(/^.*(?=\/var\/lib\/gatehouse\/)/, '')
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
