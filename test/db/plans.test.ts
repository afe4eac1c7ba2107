// No statement of a hot path reads a table from one end to the other: the flows run, every statement is caught on its way to
// the database with its parameters, and the planner is asked how it would go about it on tables with many rows.
import pg from 'pg'
import { type Grown, grow } from '../../faults/growth.ts'
import { connect } from '../../src/db/connect.ts'
import { startSweeper } from '../../src/db/sweeper.ts'
import { SWEPT, SWEPT_TABLES } from '../../src/db/swept.ts'
import { createBrowser } from '../helpers/browser.ts'
import { obtainCode, obtainTokens, passPages, post, redeem, refresh } from '../helpers/flow.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

const MANY = 20_000

/** A handful of rows each, whatever the installation: for them the planner reads all, and is right. */
const SMALL = [
  'key_ring',
  'signing_keys',
  'resources',
  'versions',
  'primary_met',
  'kysely_migration',
  'migration_floors',
  'token_facts',
  'ended_epochs',
]

/** Statements for the start of a process, and for operators who list or search. */
const RARE = [/from "clients" order by/, /from "accounts" order by/]

interface Caught {
  readonly text: string
  readonly values: unknown[]
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Cond'?: string
  readonly 'Index Name'?: string
  readonly Plans?: readonly Plan[]
}

let server: TestServer
let pool: pg.Pool
let grown: Grown
const caught = new Map<string, Caught>()
let watching = false
const query = pg.Client.prototype.query

beforeAll(async () => {
  server = await startTestServer()
  pool = server.database.pool()
  grown = await grow(server, pool, { grants: MANY, sessions: MANY, families: MANY, tokens: MANY }, 40)
  await fill('clients', { id: `'c' || n`, kind: `'web'`, auth_method: `'none'`, refresh: `'none'` })
  await fill('consents', { account_id: `'usr_' || md5('a' || (n % ${MANY} + 1))`, client_id: `'c' || n` })
  await fill('client_secrets', { id: 'gen_random_uuid()', client_id: `'c' || n`, hash: `decode(md5(n::text), 'hex')` })
  await fill('account_links', { purpose: `'admin-setup'` })
  await fill('endings', { kind: `'token'` })
  for (const table of ['authorization_codes', 'interactions', 'replays', 'pushed_requests', 'throttle_buckets']) {
    await fill(table, {})
  }
  // As in an installation of many apps: rows of one that came first would be found by walking, and quickly.
  await pool.query('update grants set client_epoch = 1 + random() * $1 where length(account_id) = 36', [MANY])
  await pool.query('analyze')
  pg.Client.prototype.query = watch as never
  try {
    watching = true
    await useEverything()
    await makeOver()
    await sweepEverything()
  } finally {
    pg.Client.prototype.query = query
  }
}, 180_000)
afterAll(() => server?.stop())

function watch(this: pg.Client, ...args: [unknown, unknown]): unknown {
  const [first, second] = args
  const text = typeof first === 'string' ? first : (first as { text?: string }).text
  const values = (Array.isArray(second) ? second : (first as { values?: unknown[] }).values) ?? []
  if (watching && text && /^\s*(select|insert|update|delete|with)\b/i.test(text)) caught.set(text, { text, values })
  return query.apply(this, args as never)
}

/** Adds rows to a table: what it requires is made up by type, unless `made` has an expression over `n`. */
async function fill(table: string, made: Record<string, string>): Promise<void> {
  const { rows } = await pool.query<{ name: string; type: string; required: boolean }>(
    `select attname as name, format_type(atttypid, atttypmod) as type, attnotnull and not atthasdef and attidentity = '' as required
      from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    [table],
  )
  const columns = rows.filter(({ name, required }) => required || name in made || name === 'expires_at')
  const values = columns.map(({ name, type }) => {
    if (made[name]) return made[name]
    const value = BY_TYPE[type]
    if (!value) throw new Error(`no value for ${table}.${name}, which is ${type}`)
    return value
  })
  const names = columns.map(({ name }) => name)
  await pool.query(
    `insert into ${table} (${names}) select ${values} from generate_series(1, ${MANY}) n on conflict do nothing`,
  )
}

const BY_TYPE: Record<string, string> = {
  bytea: `decode(md5('fill' || n), 'hex')`,
  text: `'text' || n`,
  jsonb: `'{}'::jsonb`,
  'text[]': `'{}'::text[]`,
  boolean: 'false',
  integer: 'n',
  bigint: 'n',
  'timestamp with time zone': `now() + random() * interval '10 days' + interval '1 hour'`,
}

/** Everything that people, apps and gateways do all day, and what is done in the background. */
async function useEverything(): Promise<void> {
  const app = { id: grown.app }
  const browser = createBrowser(server.issuer)
  const scope = 'openid things:read'
  const got = await obtainCode(server, app.id, { scope }, browser)
  const { body } = await redeem(server, app, got)
  // Again: a code used twice ends what came from it.
  await redeem(server, app, got)
  await obtainTokens(server, app, { scope, prompt: 'none' }, browser)
  await obtainTokens(server, { id: 'spa' }, { scope: 'openid orders:read' }, browser)
  await obtainCode(server, 'shop', { scope }, browser)
  await passPages(browser, await browser.open(`${server.issuer}/logout`))
  const [first, second, third] = grown.refresh as [string, string, string]
  const rotated = await refresh(server, app, first)
  await refresh(server, app, first)
  await post(server, '/revoke', { token: second }, app)
  const things = { grant_type: 'client_credentials', scope: 'things:read' }
  const own = await post(server, '/token', things, grown.machine)
  const api = { authorization: grown.api.authorization! }
  const ask = (path: string, token: string) =>
    fetch(`${server.issuer}${path}`, { method: 'POST', body: new URLSearchParams({ token }), headers: api })
  const jwt = await obtainTokens(server, { id: 'spa' }, { scope: 'openid orders:read' })
  for (const token of [grown.access[0]!, own.body.access_token, jwt.body.access_token, third, body.access_token]) {
    await ask('/introspect', token)
  }
  await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${rotated.body.access_token}` } })
  await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${jwt.body.access_token}` } })
  await post(server, '/revoke', { token: own.body.access_token }, grown.machine)
  await post(server, '/revoke', { token: jwt.body.access_token }, { id: 'spa' })
  const person = await server.addPerson('bea@example.com')
  const link = await server.rooms.accounts.makeSetPasswordLink(person, 'operator')
  await fetch(`${server.issuer}/set-password?token=${link.token}`)
  const ada = await server.rooms.accounts.findByEmail('ada@example.com')
  await server.rooms.accounts.disable(ada!.id, 'operator')
  await server.rooms.clients.disable('machine', 'operator')
}

/** Ends the time of some rows of every table. */
async function makeOver(): Promise<void> {
  watching = false
  for (const table of SWEPT_TABLES) {
    await pool.query(
      `update ${table} set ${SWEPT[table].end} = now() - interval '2 days' where ctid in (select ctid from ${table} limit 10)`,
    )
  }
  watching = true
}

async function sweepEverything(): Promise<void> {
  const { db, close } = connect(server.database.connection, { max: 1 })
  try {
    await startSweeper({ db, now: () => new Date(), report: failOnError }, 0).sweep()
  } finally {
    await close()
  }
}

function failOnError(outcome: object): void {
  if ('error' in outcome) throw outcome.error
}

/** @returns every table that a plan walks over from one end to the other, with how */
function walksOf(plan: Plan, limited = false): string[] {
  const type = plan['Node Type']
  const table = plan['Relation Name'] ?? plan['Index Name']
  const walks = type === 'Seq Scan' || (/^(Bitmap )?Index (Only )?Scan$/.test(type) && !plan['Index Cond'] && !limited)
  const below = (plan.Plans ?? []).flatMap((one) => walksOf(one, limited || type === 'Limit'))
  return walks && !SMALL.includes(table!) ? [`${type} on ${table}`, ...below] : below
}

async function walks({ text, values }: Caught, client: pg.PoolClient): Promise<string[]> {
  const { rows } = await client.query(`explain (format json) ${text}`, values)
  return walksOf(rows[0]['QUERY PLAN'][0].Plan)
}

it('catches the statements of every table that grows', () => {
  const texts = [...caught.keys()].join('\n')
  const tables = [...SWEPT_TABLES, 'accounts', 'consents', 'audit_entries', 'live_grants']
  expect(tables.filter((table) => !new RegExp(`\\b${table}\\b`).test(texts))).toEqual([])
  expect(caught.size).toBeGreaterThan(50)
})

it('R-42 no statement of a hot path reads a whole table', async () => {
  const client = await pool.connect()
  const found: string[] = []
  try {
    for (const one of caught.values()) {
      if (RARE.some((pattern) => pattern.test(one.text))) continue
      const all = await walks(one, client)
      if (all.length > 0) found.push(`${all.join(', ')}: ${one.text}`)
    }
  } finally {
    client.release()
  }
  expect(found).toEqual([])
}, 60_000)

it('and would notice: without its index, a statement does', async () => {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query('drop index access_tokens_expiry')
    const found: string[] = []
    for (const one of caught.values()) found.push(...(await walks(one, client)))
    expect(found).toContain('Seq Scan on access_tokens')
  } finally {
    await client.query('rollback')
    client.release()
  }
})
