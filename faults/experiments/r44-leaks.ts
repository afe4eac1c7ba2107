import { Agent } from 'node:http'
import { connect } from '../../src/db/connect.ts'
import { startSweeper } from '../../src/db/sweeper.ts'
import { hangUp } from '../../test/helpers/process.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'
import { failingRequests, type Sort } from '../failing-requests.ts'
import { type Footprint, type Holdings, MEASURED, measureAtRest } from '../footprint.ts'

const WARM_UP = 26_000
const REQUESTS = 100_000
const PARALLEL = 32
/** Memory may be this many times what it was. */
const MOST = 1.1
/** More names of clients that there are not than anything keeps, and the most entries that a map or set may have. */
const STRANGERS = 6000
const LARGEST = 5001
/** Files, connections, objects of a class that may come on top: the bench's own connections come and go. */
const SLACK = 20
const SLACK_OF_PROMISES = 500

/** Requests that fail, of many sorts; what the process holds afterwards is compared with what it held after a warm-up of the same. */
export const r44Leaks: Experiment = {
  id: 'R-44',
  title: 'what failing requests leave behind',
  size: { full: `${REQUESTS} requests of 26 sorts, ${PARALLEL} at once, 1 process, after ${WARM_UP} of the same` },
  target:
    'memory (RSS and heap) back within 10 % of its level after the warm-up; files, sockets, timers, connections as before; no map grows without bound; rows leave',
  needs: ['linux'],
  limit: 30,

  async run(bench) {
    const misses: string[] = []
    const installation = await bench.install()
    const cluster = await installation.start({
      processes: 1,
      warm: 0,
      program: MEASURED,
      // With the limits of everyday: most wrong passwords are refused unseen.
      env: { GATEHOUSE_PROFILE: '', LOG_LEVEL: 'info' },
    })
    const server = cluster.nodes[0]!
    const sorts = await failingRequests(installation, cluster)
    const strangers = sorts.filter(({ name }) => name === 'unknown client')
    misses.push(...(await fail(bench, strangers, STRANGERS)), ...(await fail(bench, sorts, WARM_UP)))
    const before = await measureAtRest(server)
    const connections = await countConnections(installation)
    bench.say(`after the warm-up: ${inWords(before)}`)
    misses.push(...(await fail(bench, sorts, REQUESTS)))
    const after = await measureAtRest(server)
    bench.say(`after the requests: ${inWords(after)}`)
    misses.push(...compare(before, after))
    const connectionsAfter = await countConnections(installation)
    if (connectionsAfter > connections + SLACK)
      misses.push(`${connectionsAfter} database connections, ${connections} before`)
    await cluster.stop()
    misses.push(...(await sweepAll(installation)))
    return { result: `${inWords(before)}; then ${inWords(after)}`, misses }
  },
}

/** Sends so many requests, the sorts in turn. @returns answers that are not those of their sort */
async function fail(bench: Bench, sorts: readonly Sort[], times: number): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL })
  const odd = new Map<string, number>()
  const begun = performance.now()
  let turn = 0
  const work = async () => {
    while (turn < times) {
      const mine = turn++
      const { name, statuses, send } = sorts[mine % sorts.length]!
      const status = await send(mine, agent).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return 0
        throw error
      })
      if (!statuses.includes(status)) odd.set(`${name}: ${status}`, (odd.get(`${name}: ${status}`) ?? 0) + 1)
      if (mine % 20_000 === 19_999) bench.say(`${mine + 1} requests, ${Math.round(performance.now() - begun)} ms`)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  agent.destroy()
  hangUp()
  return [...odd].map(([what, count]) => `${count} answers were not as expected: ${what}`)
}

function compare(before: Footprint & Holdings, after: Footprint & Holdings): string[] {
  const misses: string[] = []
  for (const part of ['rss', 'heapUsed'] as const) {
    const times = after.memory[part] / before.memory[part]
    if (times > MOST) misses.push(`${part} is ${times.toFixed(2)} times what it was`)
  }
  if (after.files > before.files + SLACK) misses.push(`${after.files} files are open, ${before.files} were`)
  for (const [name, count] of Object.entries(after.objects)) {
    const grown = count - before.objects[name]!
    if (grown > (name === 'promises' ? SLACK_OF_PROMISES : SLACK)) misses.push(`${grown} more ${name} are held`)
  }
  const largest = Math.max(before.largest, after.largest)
  if (largest > LARGEST) misses.push(`a map or set has ${largest} entries`)
  return misses
}

function inWords({ memory, files, objects, largest }: Footprint & Holdings): string {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  const held = Object.entries(objects).map(([name, count]) => `${count} ${name}`)
  return `RSS ${mib(memory.rss)} MiB, heap ${mib(memory.heapUsed)} MiB, ${files} files, ${held.join(', ')}, largest map ${largest}`
}

async function countConnections({ database }: Installation): Promise<number> {
  const { rows } = await database
    .pool()
    .query(
      `select count(*)::int as n from pg_stat_activity where application_name like 'gatehouse%' and datname = current_database()`,
    )
  return rows[0].n
}

const PASSING = [
  'authorization_codes',
  'access_tokens',
  'refresh_families',
  'pushed_requests',
  'replays',
  'endings',
  'sessions',
  'grants',
  'interactions',
  'throttle_buckets',
  'token_facts',
]

async function countRows({ database }: Installation): Promise<Map<string, number>> {
  const counts = PASSING.map((table) => `select '${table}' as name, count(*)::int as n from ${table}`)
  const { rows } = await database.pool().query<{ name: string; n: number }>(counts.join(' union all '))
  return new Map(rows.map(({ name, n }) => [name, n]))
}

/** When all times are over, no row is left of what strangers sent. */
async function sweepAll(installation: Installation): Promise<string[]> {
  const { db, close } = connect(installation.database.connection as never, { max: 1 })
  const failures: string[] = []
  try {
    const later = () => new Date(Date.now() + 366 * 24 * 60 * 60 * 1000)
    const report = (outcome: object) => void ('error' in outcome && failures.push(`not swept: ${outcome.error}`))
    await startSweeper({ db, now: later, report }, 0).sweep()
  } finally {
    await close()
  }
  for (const [name, n] of await countRows(installation)) if (n > 0) failures.push(`${n} rows stay in ${name}`)
  return failures
}
