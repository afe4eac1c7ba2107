// Fills an installation's tables with what a year of use would leave there, by copying rows that a real flow has made.
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { mintOpaque } from '../src/tokens/access-tokens.ts'
import { basic, obtainTokens, post } from '../test/helpers/flow.ts'
import { addCast, addMachine, type TestServer, THINGS } from '../test/helpers/server.ts'

export interface Size {
  readonly grants: number
  readonly sessions: number
  readonly families: number
  readonly tokens: number
}

/** Tokens that work, spread over what they hide among. */
export interface Grown {
  readonly machine: { id: string; secret: string }
  /** the secret of the client `billing` */
  readonly billing: string
  readonly api: Record<string, string>
  readonly app: string
  readonly refresh: string[]
  readonly access: readonly string[]
}

const CHUNKS = 100
const ACCOUNTS = 100_000
const APP = 'phone'

/**
 * @param home a server on the database, for making the first of each
 * @param working how many refresh tokens of the result work; twice as many access tokens do
 */
export async function grow(home: TestServer, pool: pg.Pool, size: Size, working: number): Promise<Grown> {
  const cast = await addCast(home)
  const scopes = { [THINGS]: ['things:read'] }
  await home.addClient({ id: APP, kind: 'native', authMethod: 'none', firstParty: true, refresh: 'offline', scopes })
  const machine = await addMachine(home)
  await obtainTokens(home, { id: APP }, { scope: 'openid things:read' })
  await post(home, '/token', { grant_type: 'client_credentials', scope: 'things:read' }, machine)

  const client = await pool.connect()
  try {
    const copy = createCopier(client)
    await keepTemplates(client)
    const restoreIndexes = size.tokens > 100_000 ? await dropIndexes(client) : async () => undefined
    await copy('accounts', Math.min(ACCOUNTS, size.grants), {
      id: `'usr_' || md5('a' || n)`,
      email: `'a' || n || '@example.com'`,
      email_key: `'a' || n || '@example.com'`,
      epoch: '1000000 + n',
    })
    const refresh: string[] = []
    const access: string[] = []
    const accounts = Math.max(1, Math.min(ACCOUNTS, size.grants))
    const owner = {
      account_id: `'usr_' || md5('a' || (n % ${accounts} + 1))`,
      account_epoch: `1000001 + n % ${accounts}`,
    }
    const later = `now() + random() * interval '20 days' + interval '1 hour'`
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const part = (all: number) => {
        const from = Math.floor((all * chunk) / CHUNKS)
        return [Math.floor((all * (chunk + 1)) / CHUNKS) - from, from] as const
      }
      const fill = async (table: keyof typeof TEMPLATES, all: number, changes: Record<string, string>) => {
        const [many, from] = part(all)
        await copy(table, many, { ...changes, expires_at: later }, from)
      }
      await fill('grants', size.grants, { id_hash: key('g'), ...owner })
      await fill('sessions', size.sessions, { id_hash: key('s'), uid: `md5('u' || n)`, ...owner })
      await fill('refresh_families', size.families, {
        family_hash: key('f'),
        grant_hash: key('g'),
        current_hash: `sha256(('c' || n)::bytea)`,
      })
      const twoEach = '(n + 1) / 2'
      await fill('access_tokens', size.tokens, {
        id_hash: key('t'),
        grant_hash: key('g', twoEach),
        family_hash: key('f', twoEach),
      })
      const made = await addWorking(home, copy, Math.ceil(working / CHUNKS))
      refresh.push(...made.refresh)
      access.push(...made.access)
    }
    await restoreIndexes()
    await client.query('vacuum (analyze)')
    await client.query('checkpoint')
    return { machine, billing: cast.billing, api: basic('orders-api', cast.api), app: APP, refresh, access }
  } finally {
    client.release()
  }
}

const key = (prefix: string, n = 'n') => `decode(md5('${prefix}' || ${n}), 'hex')`

const TEMPLATES = {
  accounts: '',
  grants: `where client_id = '${APP}'`,
  sessions: 'where account_id is not null',
  refresh_families: '',
  access_tokens: 'where grant_hash is not null',
} as const

async function keepTemplates(client: pg.PoolClient): Promise<void> {
  for (const [table, which] of Object.entries(TEMPLATES)) {
    await client.query(`create temporary table one_${table} as select * from ${table} ${which} limit 1`)
  }
}

/** Millions of rows are there in a minute without indexes, and in half an hour with them. @returns what makes them again */
async function dropIndexes(client: pg.PoolClient): Promise<() => Promise<void>> {
  await client.query(`set synchronous_commit = off; set maintenance_work_mem = '512MB'`)
  const { rows } = await client.query<{ drop: string; make: string }>(
    `select
        case when con.conname is null then format('drop index %I', rel.relname)
          else format('alter table %s drop constraint %I', i.indrelid::regclass, con.conname) end as drop,
        case when con.conname is null then pg_get_indexdef(i.indexrelid)
          else format('alter table %s add constraint %I %s', i.indrelid::regclass, con.conname, pg_get_constraintdef(con.oid)) end as make
      from pg_index i join pg_class rel on rel.oid = i.indexrelid
        left join pg_constraint con on con.conindid = i.indexrelid and con.contype in ('p', 'u')
      where i.indrelid = any($1::regclass[])`,
    [['grants', 'sessions', 'refresh_families', 'access_tokens']],
  )
  for (const { drop } of rows) await client.query(drop)
  return async () => {
    for (const { make } of rows) await client.query(make)
  }
}

type Copy = (
  table: keyof typeof TEMPLATES,
  many: number,
  changes: Record<string, string>,
  from?: number,
  values?: unknown[],
) => Promise<void>

/** @returns a function that copies the template of a table; `changes` are expressions over `n` and `one` */
function createCopier(client: pg.PoolClient): Copy {
  return async (table, many, changes, from = 0, values = []) => {
    if (many <= 0) return
    const found = await client.query<{ name: string }>(
      'select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped',
      [`one_${table}`],
    )
    const names = found.rows.map(({ name }) => name)
    const expressions = names.map((name) => changes[name] ?? `one.${name}`)
    await client.query(
      `insert into ${table} (${names}) select ${expressions} from one_${table} one, generate_series(${from + 1}, ${from + many}) n`,
      values,
    )
  }
}

/** Adds grants of the person, each with a refresh token and two access tokens that work. */
async function addWorking(home: TestServer, copy: Copy, many: number) {
  const { ring, tokens } = home.rooms
  const { names } = tokens.families
  const grants = Array.from({ length: many }, () => randomBytes(16))
  const refresh = grants.map(() => names.first(mintOpaque('ac', ring.version)))
  const access = [...grants, ...grants].map(() => mintOpaque('at', ring.version))
  const later = `now() + interval '20 days'`
  const families = refresh.map((token) => names.ofToken(token)!)
  await copy('grants', many, { id_hash: '($1::bytea[])[n]', expires_at: later }, 0, [grants])
  await copy(
    'refresh_families',
    many,
    {
      family_hash: '($1::bytea[])[n]',
      grant_hash: '($2::bytea[])[n]',
      current_hash: '($3::bytea[])[n]',
      payload: `one.payload || jsonb_build_object('grantId', ($4::text[])[n])`,
      expires_at: later,
    },
    0,
    [families, grants, refresh.map(names.hash), grants.map((grant) => `~${grant.toString('base64url')}`)],
  )
  await copy(
    'access_tokens',
    many * 2,
    {
      id_hash: '($1::bytea[])[n]',
      grant_hash: '($2::bytea[])[n]',
      family_hash: '($3::bytea[])[n]',
      expires_at: later,
    },
    0,
    [access.map((token) => ring.handle('access-token', token)), [...grants, ...grants], [...families, ...families]],
  )
  return { refresh, access }
}
