import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { basic } from '../../test/helpers/flow.ts'
import { runCommand, send, startProcess } from '../../test/helpers/process.ts'
import { freePort, TEST_SECRET } from '../../test/helpers/server.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'
import { type Breakable, installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'
import { mountSmallDisk, type SmallDisk } from '../small-disk.ts'

/** seconds that a disk stays full */
const FULL_FOR = 5
/** more than a megabyte of them */
const LOG_LINES = 9000
const EVE = 'eve@example.com'

const MOVE_AUDIT = (tablespace: string) => `alter table audit_entries set tablespace ${tablespace}`

interface Disks {
  readonly audit: SmallDisk
  readonly data: SmallDisk
  readonly wal: SmallDisk
}

/**
 * The disk of the audit table, that of all data, and that of the write-ahead log fill up in turn, each under load; PostgreSQL gives
 * up on the last one, and is started again and again as a service manager would. Then the disk of the server's own log.
 */
export const r30FullDisk: Experiment = {
  id: 'R-30',
  title: 'disks are full: of the audit table, the data, the write-ahead log, and the server log',
  size: {
    full: `each once for ${FULL_FOR} s or more under load, 2 processes; 3 commands at each; ${LOG_LINES} log lines`,
  },
  target:
    'what cannot be stored is a 503 within 2 s, and no process ends; commands say so and change nothing; well again within 5 s',
  needs: ['mount'],

  async run(bench) {
    const misses: string[] = []
    const told: string[] = []
    const { disks, breakable } = await installOnSmallDisks(bench)
    const { installation } = breakable
    await installation.home.addPerson(EVE)
    const cluster = await startLoaded(installation)
    const pids = cluster.nodes.map(({ child }) => child.pid)
    for (const name of ['audit', 'data', 'wal'] as const) {
      let refusals = 0
      if (name === 'data') await withAdmin(installation, (admin) => admin.query(MOVE_AUDIT('pg_default')))
      const seen = await underLoad(installation, cluster, async () => {
        disks[name].fill()
        if (name === 'wal') await useUpLog(breakable, disks.wal, misses)
        else await useUpPages(installation)
        const until = performance.now() + FULL_FOR * 1000
        refusals = await actAll(installation, name, misses)
        await lookAround(cluster, installation, name, misses)
        while (performance.now() < until) await sleep(100)
        disks[name].free()
        if (!(await breakable.host.node.runs())) await breakable.host.node.start()
      })
      misses.push(...judge(seen, name))
      if (seen.refused === 0) misses.push(`${name}: nobody was refused: it was not full`)
      const line = `${name}: ${inWords([seen])}, ${refusals} commands refused`
      bench.say(line)
      told.push(line)
      const { code, err } = await runCommand(settingsOf(installation), ['user', 'disable', EVE])
      if (code !== 0) misses.push(`${name}: with space a command fails: ${err}`)
      await runCommand(settingsOf(installation), ['user', 'enable', EVE])
    }
    const ended = cluster.nodes.filter(({ child }, index) => child.exitCode !== null || child.pid !== pids[index])
    if (ended.length > 0) misses.push(`${ended.length} processes ended`)
    told.push(await fillLog(bench, installation, misses))
    return { result: told.join('; '), misses }
  },
}

async function installOnSmallDisks(bench: Bench): Promise<{ disks: Disks; breakable: Breakable }> {
  let disks: Disks | undefined
  const breakable = await installBreakable(
    bench,
    { min_wal_size: '2MB', max_wal_size: '4MB', wal_keep_size: '0', wal_recycle: 'off', wal_init_zero: 'on' },
    {
      async prepare(folder, base, user) {
        disks = {
          data: await mountSmallDisk(folder, 128, user),
          wal: await mountSmallDisk(join(base, 'wal'), 64, user),
          audit: await mountSmallDisk(join(base, 'audit'), 4, user),
        }
        return ['--wal-segsize=1', `--waldir=${join(base, 'wal')}`]
      },
      cleanUp: async () => {
        for (const disk of Object.values(disks ?? {})) await disk.remove()
      },
    },
  )
  const { installation } = breakable
  await withAdmin(installation, async (admin) => {
    await admin.query(`create tablespace small location '${disks!.audit.folder}'`)
    await admin.query(MOVE_AUDIT('small'))
  })
  return { disks: disks!, breakable }
}

async function withAdmin<T>(installation: Installation, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client(installation.database.connection)
  admin.on('error', () => undefined)
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end().catch(() => undefined)
  }
}

/** What the tables' last pages still hold must not let a small row in. */
async function useUpPages(installation: Installation): Promise<void> {
  await withAdmin(installation, async (admin) => {
    for (const long of [1000, 100, 0]) {
      for (let more = true; more; ) {
        const text = JSON.stringify('x'.repeat(long))
        const filler = `insert into audit_entries (at, kind, actor, detail) values (now(), 'filler', 'bench', '${text}')`
        more = await admin.query(filler).then(
          () => true,
          () => false,
        )
      }
    }
  })
}

/** Writes log until PostgreSQL gives up. */
async function useUpLog({ host, installation }: Breakable, disk: SmallDisk, misses: string[]): Promise<void> {
  const until = performance.now() + 15_000
  await withAdmin(installation, async (admin) => {
    for (let more = true; more && performance.now() < until; ) {
      const noise = `select pg_logical_emit_message(false, 'noise', repeat('x', 100000)) from generate_series(1, 20)`
      more = await admin.query(noise).then(
        () => true,
        () => false,
      )
    }
  }).catch(() => undefined)
  if (performance.now() > until) misses.push('wal: PostgreSQL writes its log to a disk that is full')
  // Its recovery needs space as well, and may find some by throwing old log away; whoever watches over it tries again.
  for (let turn = 0; turn < 3; turn++) {
    await sleep(1000)
    disk.fill()
    if (!(await host.node.runs())) await host.node.start().catch(() => undefined)
    disk.fill()
  }
}

const settingsOf = ({ issuer, database }: Installation) => ({
  GATEHOUSE_ISSUER: issuer,
  DATABASE_URL: database.url,
  GATEHOUSE_SECRET: TEST_SECRET,
})

/** @returns how many commands were refused; each must be, and change nothing */
async function actAll(installation: Installation, name: string, misses: string[]): Promise<number> {
  const acts = [
    ['user', 'disable', EVE],
    ['client', 'add', `new-${name}`, '--name', 'New', '--kind', 'service'],
    ['client', 'rotate-secret', 'billing'],
  ]
  let refused = 0
  for (const act of acts) {
    const { code, err } = await runCommand(settingsOf(installation), act)
    const what = `${name}: ${act.slice(0, 2).join(' ')}`
    if (code === 0) misses.push(`${what} was done`)
    else refused += 1
    if (/^\s+at /m.test(err) || !/space|database/i.test(err)) misses.push(`${what} says: ${err}`)
  }
  if (name === 'wal') return refused
  const left = await withAdmin(
    installation,
    async (admin) =>
      (
        await admin.query(`select (select count(*)::int from accounts where disabled_at is not null) as disabled,
          (select count(*)::int from clients where id like 'new-%') as clients,
          (select count(*)::int from client_secrets where client_id = 'billing') as secrets`)
      ).rows[0],
  )
  if (left.disabled > 0) misses.push(`${name}: an account was disabled by a command that failed`)
  if (left.clients > 0) misses.push(`${name}: a client was added by a command that failed`)
  if (left.secrets !== 1) misses.push(`${name}: a secret was made by a command that failed`)
  return refused
}

/** Liveness is green; what reads is answered while the database reads. */
async function lookAround(cluster: Cluster, installation: Installation, name: string, misses: string[]): Promise<void> {
  const { api, ledger } = installation
  for (const { port } of cluster.nodes) {
    const { status } = await send(port, '/healthz')
    if (status !== 200) misses.push(`${name}: liveness is ${status}`)
    if (name === 'wal') continue
    const form = { token: ledger.chains[0]!.access[0]! }
    const headers = { ...basic(api.id, api.secret), host: new URL(cluster.issuer).host }
    const { body } = await send(port, '/introspect', { form, headers })
    if (body.active !== true) misses.push(`${name}: introspection of a living token says ${JSON.stringify(body)}`)
  }
}

/** A server whose log lies on a full disk. @returns the figures */
async function fillLog(bench: Bench, installation: Installation, misses: string[]): Promise<string> {
  const disk = await mountSmallDisk(join(bench.folder, 'log'), 1)
  bench.after(disk.remove)
  const path = join(disk.folder, 'server.log')
  const file = openSync(path, 'a')
  const port = await freePort()
  const settings = { ...settingsOf(installation), PORT: String(port), LOG_LEVEL: 'trace' }
  const server = await startProcess(settings, undefined, file)
  closeSync(file)
  bench.after(() => server.kill().catch(() => undefined))
  disk.fill()
  let odd = 0
  for (let turn = 0; turn < LOG_LINES / 100; turn++) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => send(port, '/healthz')))
    odd += answers.filter(({ status }) => status !== 200).length
  }
  if (odd > 0) misses.push(`log: ${odd} answers were not 200`)
  disk.free()
  await send(port, '/healthz')
  await send(port, '/healthz')
  const text = readFileSync(path, 'utf8')
  const lines = text.split('\n').filter(Boolean)
  const torn = lines.filter((line) => !isJson(line))
  if (torn.length > 0) misses.push(`log: ${torn.length} lines are torn: ${torn[0]!.slice(0, 200)}`)
  const lost = Number(/"lines":(\d+)/.exec(text)?.[1] ?? 0)
  if (lost === 0) misses.push('log: it does not say that lines were lost')
  if (lines.length - 1 + lost < LOG_LINES)
    misses.push(`log: of ${LOG_LINES} lines ${lines.length} are there, ${lost} lost`)
  if ((await server.stop()) !== 0) misses.push('log: the server does not stop in good order')
  return `log: ${LOG_LINES} requests served while it was full, ${lost} lines lost and counted`
}

function isJson(line: string): boolean {
  try {
    return Boolean(JSON.parse(line))
  } catch {
    return false
  }
}
