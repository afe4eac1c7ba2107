// Launches in child processes, as root and as an ordinary user, in folders that are cleaned up whatever happened.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { isRunning, markProcess } from '../../src/postgres/processes.ts'
import { canPass } from '../../src/postgres/user.ts'
import { until } from '../helpers/until.ts'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
export const isRoot = process.getuid?.() === 0

/** Somebody to be: `as` is undefined for the user who runs the tests. */
export interface Person {
  readonly title: string
  readonly as?: { uid: number; gid: number }
}

/** An ordinary user that every Linux has; only root can become it. */
export const DAEMON = { uid: 1, gid: 1 }
const canBeDaemon =
  isRoot &&
  (
    await Promise.all(
      [PROJECT, dirname(process.execPath)].map((path) => canPass(path, { ...DAEMON, name: 'daemon', switched: true })),
    )
  ).every(Boolean)

const me: Person = { title: isRoot ? 'root' : 'an ordinary user' }
export const people: Person[] = canBeDaemon ? [me, { title: 'an ordinary user', as: DAEMON }] : [me]
/** the ordinary user: ourselves, or `daemon`; undefined where root cannot be anybody else */
export const ordinary = people.find((person) => person.as || !isRoot)

export interface Answer {
  connection: { host: string; port: number; user: string; database: string; ssl: false }
  place: string
  how: string
  said: string[]
  ms: number
}

export interface Launched extends Answer {
  process: ChildProcess
  pid: number
  /** ends it properly and waits for its exit */
  stop(): Promise<void>
  /** kill -9 */
  kill(): Promise<void>
}

export interface Refused {
  message: string
  advice: string
}

const folders: string[] = []
const places = new Set<string>()
const children: Launched[] = []

/** @returns a data folder that does not exist yet, in a new folder of that person */
export function newDataDir(person: Person = me, deep = ''): string {
  const parent = mkdtempSync(join(tmpdir(), 'gatehouse-test-pg-'))
  folders.push(parent)
  if (person.as) chownSync(parent, person.as.uid, person.as.gid)
  chmodSync(parent, 0o755)
  return join(parent, deep, 'data')
}

/** @throws the refusal, as an object with `message` and `advice` */
export async function launch(
  options: { dataDir: string; role?: 'server' | 'command'; noSync?: boolean; umask?: number },
  person: Person = me,
  project = PROJECT,
): Promise<Launched> {
  const script = join(project, 'test/postgres/launcher.ts')
  const child = spawn(process.execPath, [script, JSON.stringify({ role: 'server', noSync: true, ...options })], {
    ...person.as,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((done) => child.once('exit', () => done()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const first = await lines.next()
  if (first.done) throw new Error('the launcher died without a word')
  const answer = JSON.parse(first.value) as Answer & { refused?: Refused }
  if (answer.refused) {
    await exited
    throw answer.refused
  }
  const launched: Launched = {
    ...answer,
    process: child,
    pid: child.pid!,
    async stop() {
      child.stdin.end('stop\n')
      const last = JSON.parse((await lines.next()).value ?? '{}')
      await exited
      if (!last.stopped) throw last.refused ?? new Error('no word of the stop')
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
  children.push(launched)
  return launched
}

/** @returns the refusal of a launch, which must be an operator's fault */
export async function refusal(...args: Parameters<typeof launch>): Promise<Refused> {
  const launched = await launch(...args).catch((refused) => refused as Refused & { name: string })
  if (!('advice' in launched)) throw Object.assign(new Error('the launch was not refused with advice'), { launched })
  return launched
}

/** Runs statements over one connection, and returns the rows of the last. */
export async function query(
  { connection }: Pick<Answer, 'connection'>,
  ...statements: string[]
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(connection)
  await client.connect()
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}

/** @returns the pid of the running server, or undefined */
export function serverPid({ place }: Pick<Answer, 'place'>): number | undefined {
  const file = join(place, 'postgres/postmaster.pid')
  if (!existsSync(file)) return undefined
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  return isRunning(markProcess(pid)) ? pid : undefined
}

/** Ends every process and server that the test started: for afterEach. Their folders stay, for the next test to go on with. */
export async function endAll(): Promise<void> {
  for (const child of children.splice(0)) {
    places.add(child.place)
    if (child.process.exitCode === null && !child.process.signalCode) await child.kill()
  }
  for (const place of places) {
    const pid = serverPid({ place })
    if (!pid) continue
    process.kill(pid, 'SIGQUIT')
    await until(() => !isRunning(markProcess(pid)))
  }
}

/** Deletes every folder of the test file: for afterAll. */
export function removeAll(): void {
  for (const folder of [...folders, ...places]) rmSync(folder, { recursive: true, force: true })
}
