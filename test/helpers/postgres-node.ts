// PostgreSQL servers that a test may stop, kill, copy to a standby and promote. They force everything to the disk, as in
// production. Standbys are made by the low-level backup functions, because the packaged PostgreSQL has no pg_basebackup.
import { execFile, spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { findBinaries } from '../../src/postgres/binaries.ts'
import { isRunning, markProcess } from '../../src/postgres/processes.ts'
import { serverEnvironment } from '../../src/postgres/settings.ts'
import { findServerUser, type ServerUser } from '../../src/postgres/user.ts'
import type { TestConnection } from './database.ts'

const run = promisify(execFile)

export interface PostgresNode {
  /** leads to the database `postgres` of this server */
  readonly connection: TestConnection
  /** Starts it, with these settings too. Resolves when it answers; rejects when it ends instead. */
  start(settings?: Record<string, string>): Promise<void>
  /** `fast` and `immediate` are PostgreSQL's shutdown modes, `kill` is kill -9 */
  stop(how: 'fast' | 'immediate' | 'kill'): Promise<void>
  /** @returns the rows of the last statement */
  query(...statements: string[]): Promise<Record<string, unknown>[]>
  /** @returns a running standby that streams from this server. @param way leads to it, through something in between */
  makeStandby(name: string, way?: { host: string; port: number }): Promise<PostgresNode>
  /** Waits until a standby gets what is written. */
  followed(): Promise<void>
  /** Makes every commit wait for a standby, and waits until there is one that keeps up; or ends that. */
  synchronous(on: boolean): Promise<void>
  /** @returns whether its server process is there */
  runs(): Promise<boolean>
  /** Ends the standby's life as one, and waits until it takes writes. */
  promote(): Promise<void>
}

export interface PostgresHost {
  readonly node: PostgresNode
  /** Kills and deletes everything. */
  remove(): Promise<void>
}

export interface PostgresSurroundings {
  /**
   * Called before the first server is made, whose data folder is not there yet.
   * @param folder where it is going to be @param base beside it @param user who owns what lies in it
   * @returns more arguments for initdb
   */
  readonly prepare?: (folder: string, base: string, user: ServerUser) => Promise<readonly string[]>
  /** undoes what `prepare` did, when no server runs any more */
  readonly cleanUp?: () => Promise<unknown>
  /** more environment of every server */
  readonly env?: Readonly<Record<string, string>>
}

interface Parts {
  readonly base: string
  readonly user: ServerUser
  readonly env: NodeJS.ProcessEnv
  readonly postgres: string
  readonly nodes: { stop(how: 'kill'): Promise<void> }[]
}

/** @returns a new server, running, in a folder of its own */
export async function startPostgres(
  settings: Record<string, string> = {},
  { prepare, cleanUp, env }: PostgresSurroundings = {},
): Promise<PostgresHost> {
  const base = await mkdtemp(join(tmpdir(), 'gatehouse-pg-'))
  const user = await findServerUser(join(base, 'one'))
  if (user.switched) await chown(base, user.uid, user.gid)
  await chmod(base, 0o755)
  const { initdb, postgres } = await findBinaries({ base, user })
  const data = join(base, 'one')
  const more = (await prepare?.(data, base, user)) ?? []
  const make = ['-D', data, '-U', 'gatehouse', '-E', 'UTF8', '--locale=C', '--auth=trust', '--no-instructions', ...more]
  await run(initdb, [...make, '--no-sync'], { ...identity(user), cwd: '/', env: serverEnvironment() })
  const parts: Parts = { base, user, env: { ...serverEnvironment(), ...env }, postgres, nodes: [] }
  const node = await nodeOf(parts, 'one')
  await node.start(settings)
  return {
    node,
    async remove() {
      await Promise.all(parts.nodes.map((one) => one.stop('kill')))
      await cleanUp?.()
      await rm(base, { recursive: true, force: true })
    },
  }
}

const identity = (user: ServerUser) => (user.switched ? { uid: user.uid, gid: user.gid } : {})

async function nodeOf(parts: Parts, name: string): Promise<PostgresNode> {
  const { base, user, env, postgres, nodes } = parts
  const data = join(base, name)
  const socket = join(base, `${name}-socket`)
  await mkdir(socket, { recursive: true })
  if (user.switched) await chown(socket, user.uid, user.gid)
  const connection: TestConnection = { host: socket, port: 5432, user: 'gatehouse', database: 'postgres', ssl: false }

  const query = async (...statements: string[]) => {
    const client = new pg.Client({ ...connection, connectionTimeoutMillis: 3000, query_timeout: 20_000 })
    client.on('error', () => undefined)
    await client.connect()
    try {
      let rows: Record<string, unknown>[] = []
      for (const statement of statements) rows = (await client.query(statement)).rows
      return rows
    } finally {
      await client.end()
    }
  }
  /** Waits until `statement` gives a row with a true `yes`, for at most twenty seconds, or until that is in vain. */
  const until = async (statement: string, inVain = () => false) => {
    for (let count = 0; ; count += 1) {
      const [row] = await query(statement).catch(() => [])
      if (row?.yes === true) return
      if (count === 400 || inVain()) throw new Error(`waited in vain for: ${statement}`)
      await sleep(50)
    }
  }

  const postmaster = async () =>
    Number((await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0])

  const node: PostgresNode = {
    connection,
    query,

    async start(settings = {}) {
      const all = { unix_socket_directories: socket, listen_addresses: '', hot_standby: 'on', ...settings }
      const args = Object.entries(all).flatMap(([key, value]) => ['-c', `${key}=${value}`])
      const child = spawn(postgres, ['-D', data, ...args], {
        ...identity(user),
        cwd: '/',
        env,
        stdio: 'ignore',
      })
      child.unref()
      await until('select true as yes', () => child.exitCode !== null)
    },

    runs: async () => isRunning(markProcess((await postmaster()) || -1)),

    async stop(how) {
      const pid = await postmaster()
      const mark = markProcess(pid)
      if (!pid || !isRunning(mark)) return
      process.kill(pid, { fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' }[how])
      for (let count = 0; isRunning(mark) && count < 1000; count += 1) await sleep(10)
      // What a killed server leaves behind ends by itself a moment later, and a new one must find it gone.
      if (how === 'kill') await sleep(300)
    },

    async makeStandby(other, way = { host: socket, port: 5432 }) {
      const copy = join(base, other)
      const client = new pg.Client(connection)
      await client.connect()
      try {
        await client.query(`select pg_backup_start('standby', true)`)
        await run('cp', ['-a', data, copy])
        const { rows } = await client.query('select labelfile from pg_backup_stop(false)')
        await rm(join(copy, 'postmaster.pid'), { force: true })
        await rm(join(copy, 'postmaster.opts'), { force: true })
        const primary = `host=${way.host} port=${way.port} user=gatehouse application_name=${other}`
        const settings = `primary_conninfo = '${primary}'\n`
        for (const [file, text] of [
          ['backup_label', rows[0].labelfile as string],
          ['standby.signal', ''],
          ['postgresql.auto.conf', settings],
        ] as const) {
          await writeFile(join(copy, file), text)
          if (user.switched) await chown(join(copy, file), user.uid, user.gid)
        }
      } finally {
        await client.end()
      }
      const standby = await nodeOf(parts, other)
      await standby.start()
      return standby
    },

    followed: () => until(`select count(*) > 0 as yes from pg_stat_replication where state = 'streaming'`),

    async synchronous(on) {
      await query(`alter system set synchronous_standby_names = '${on ? '*' : ''}'`, 'select pg_reload_conf()')
      const kept = `select count(*) > 0 as yes from pg_stat_replication where sync_state = 'sync' and state = 'streaming'`
      await until(on ? kept : `select current_setting('synchronous_standby_names') = '' as yes`)
    },

    async promote() {
      await query('select pg_promote()')
      await until('select not pg_is_in_recovery() as yes')
    },
  }
  nodes.push(node)
  return node
}
