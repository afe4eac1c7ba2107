import pg from 'pg'
import { connect } from '../../src/db/connect.ts'
import { type SweepOutcome, startSweeper } from '../../src/db/sweeper.ts'
import { basic } from '../../test/helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../../test/helpers/process.ts'
import { freePort, ORDERS, startTestServer, TEST_SECRET } from '../../test/helpers/server.ts'
import { cpuOf } from '../cpu.ts'
import type { Bench, Experiment } from '../experiment.ts'
import { type Grown, grow, type Size } from '../growth.ts'

const FULL: Size = { grants: 1_000_000, sessions: 1_000_000, families: 1_000_000, tokens: 2_000_000 }
const EMPTY: Size = { grants: 0, sessions: 0, families: 0, tokens: 0 }
const ROUNDS = 15
const WARMING = 2
const REQUESTS = 300
/** Each token is used once: what was used before is warm. */
const WORKING = (ROUNDS + WARMING) * REQUESTS
const PARALLEL = 8
const OVER = 1_000_000
const MOST = 1.2

interface Side {
  readonly grown: Grown
  readonly server: ServerProcess
  readonly issuer: string
  readonly database: { pool(options?: pg.PoolConfig): pg.Pool; readonly connection: pg.ClientConfig }
}

/** Two databases side by side, one empty and one full of others' rows, and what a request costs on each. */
export const r42Growth: Experiment = {
  id: 'R-42',
  title: 'full tables',
  size: {
    full: `1 M sessions, 1 M grants, 3 M tokens; ${ROUNDS} rounds of ${REQUESTS} requests in turn; 1 M rows to sweep`,
  },
  target: `CPU time of server and database per request: median of paired ratios to an empty database ≤ ${MOST}; sweeping ≥ 5,000 rows/s, no batch over 500 ms`,
  limit: 40,
  needs: ['linux'],

  async run(bench) {
    const empty = await makeSide(bench, EMPTY, 100)
    const full = await makeSide(bench, FULL, WORKING)
    const misses: string[] = []
    const results: string[] = []
    for (const [name, ratios] of await compare(bench, empty, full)) {
      const [low, median, high] = quartiles(ratios)
      results.push(`${name} ${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`)
      if (median > MOST) misses.push(`${name} costs ${median.toFixed(2)} times as much`)
    }
    await Promise.all([empty.server.stop(), full.server.stop()])
    const swept = await sweepMany(full)
    results.push(`${Math.round(swept.rate)} rows/s swept, slowest batch ${Math.round(swept.slowest)} ms`)
    if (swept.rate < 5000) misses.push(`only ${Math.round(swept.rate)} rows/s were swept`)
    if (swept.slowest > 500) misses.push(`a batch took ${Math.round(swept.slowest)} ms`)
    return { result: results.join(', '), misses }
  },
}

async function makeSide(bench: Bench, size: Size, working: number): Promise<Side> {
  const database = await bench.database.create()
  bench.after(() => database.drop())
  const home = await startTestServer({ database })
  const { issuer } = home
  const begun = performance.now()
  let grown: Grown
  try {
    grown = await grow(home, database.pool(), size, working)
  } finally {
    await home.stop()
  }
  bench.say(`${size.tokens} tokens and the rest after ${Math.round((performance.now() - begun) / 1000)} s`)
  const server = await startProcess({
    PORT: String(await freePort()),
    DATABASE_URL: database.url,
    GATEHOUSE_ISSUER: issuer,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  })
  bench.after(() => server.kill())
  return { grown, server, issuer, database }
}

/** A prime: from one to the next is far, so that no two follow each other in the table, and none comes twice. */
const STRIDE = 7919

type Act = (side: Side, turn: number) => Promise<void>

const ACTS: Record<string, Act> = {
  'client credentials (opaque)': ({ grown, ...side }) =>
    ask(
      side,
      '/token',
      { grant_type: 'client_credentials', scope: 'things:read' },
      basic(grown.machine.id, grown.machine.secret),
    ),
  'client credentials (JWT)': ({ grown, ...side }) =>
    ask(
      side,
      '/token',
      { grant_type: 'client_credentials', resource: ORDERS, scope: 'orders:read' },
      basic('billing', grown.billing),
    ),
  async refresh({ grown, ...side }, turn) {
    const at = (turn * STRIDE) % grown.refresh.length
    const form = { grant_type: 'refresh_token', refresh_token: grown.refresh[at]!, client_id: grown.app }
    grown.refresh[at] = String((await answerOf(side, '/token', form)).refresh_token)
  },
  async introspection({ grown, ...side }, turn) {
    const token = grown.access[(turn * STRIDE) % grown.access.length]!
    const { active } = await answerOf(side, '/introspect', { token }, grown.api)
    if (active !== true) throw new Error('a token that works is not active')
  },
}

async function ask(side: Omit<Side, 'grown'>, path: string, form: Record<string, string>, headers = {}): Promise<void> {
  await answerOf(side, path, form, headers)
}

async function answerOf(
  { server, issuer }: Omit<Side, 'grown'>,
  path: string,
  form: Record<string, string>,
  headers = {},
) {
  const answer = await send(server.port, path, { form, headers: { host: new URL(issuer).host, ...headers } })
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
  return answer.body
}

async function compare(bench: Bench, empty: Side, full: Side): Promise<Map<string, number[]>> {
  const meters = new Map(await Promise.all([empty, full].map(async (side) => [side, await createMeter(side)] as const)))
  for (const meter of meters.values()) bench.after(meter.close)
  const ratios = new Map<string, number[]>(Object.keys(ACTS).map((name) => [name, []]))
  const cost = async (side: Side, act: Act, from: number) => {
    const { used } = meters.get(side)!
    const before = await used()
    let next = from
    await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        while (next < from + REQUESTS) await act(side, next++)
      }),
    )
    return ((await used()) - before) / REQUESTS
  }
  for (let round = -WARMING; round < ROUNDS; round++) {
    for (const [name, act] of Object.entries(ACTS)) {
      const order = round % 2 === 0 ? [empty, full] : [full, empty]
      const costs = new Map<Side, number>()
      for (const side of order) costs.set(side, await cost(side, act, (round + WARMING) * REQUESTS))
      if (round < 0) continue
      if (!costs.get(empty)) throw new Error(`${name} has used no CPU time that could be measured`)
      ratios.get(name)!.push(costs.get(full)! / costs.get(empty)!)
      if (round === 0) bench.say(`${name}: ${costs.get(empty)!.toFixed(2)} ms and ${costs.get(full)!.toFixed(2)} ms`)
    }
  }
  return ratios
}

/** Reads the CPU time of a server process and of the database's processes that work for it. */
async function createMeter({ server, database }: Side) {
  const client = new pg.Client({ ...database.connection, database: 'postgres' })
  await client.connect()
  return {
    async used(): Promise<number> {
      const workers = await client.query<{ pid: number }>('select pid from pg_stat_activity where datname = $1', [
        database.connection.database,
      ])
      return cpuOf([server.child.pid!, ...workers.rows.map(({ pid }) => pid)])
    },
    close: () => client.end(),
  }
}

async function sweepMany({ database }: Side): Promise<{ rate: number; slowest: number }> {
  await database.pool().query(
    `insert into access_tokens (id_hash, facts_id, client_epoch, issued_at, expires_at)
      select decode(md5('over' || n), 'hex'), 1, 1, now(), now() - interval '2 hours' + random() * interval '1 hour'
      from generate_series(1, $1) n`,
    [OVER],
  )
  const outcomes: SweepOutcome[] = []
  const { db, close } = connect(database.connection as never, { max: 1 })
  try {
    const report = (outcome: SweepOutcome) => void outcomes.push(outcome)
    const begun = performance.now()
    const removed = await startSweeper({ db, now: () => new Date(), report }, 0).sweep()
    const seconds = (performance.now() - begun) / 1000
    const failure = outcomes.find((outcome) => 'error' in outcome)
    if (failure && 'error' in failure) throw failure.error
    if (removed < OVER) throw new Error(`${removed} rows were swept, not ${OVER}`)
    const times = outcomes.map((outcome) => ('milliseconds' in outcome ? outcome.milliseconds : 0))
    return { rate: removed / seconds, slowest: Math.max(...times) }
  } finally {
    await close()
  }
}

function quartiles(values: readonly number[]): [number, number, number] {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.round((sorted.length - 1) * share)]!
  return [at(0.25), at(0.5), at(0.75)]
}
