// What a server does not start with (SECURITY S-003): each refusal is one clear message, exit code 1, and nothing touched.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { connect } from '../../src/db/connect.ts'
import { createAdapterFactory } from '../../src/provider/adapter.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { cleanEnv } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET } from '../helpers/server.ts'

const ROOT = join(import.meta.dirname, '../..')
const WITHIN = 30_000

let folder: string
let database: TestDatabase

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-refusals-'))
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs `gatehouse start` and waits for its end. One that starts all the same is stopped and has the code `null`, as one that hangs. */
async function start(settings: Record<string, string>): Promise<Ended> {
  const env = cleanEnv({ PORT: String(await freePort()), GATEHOUSE_DATA_DIR: join(folder, 'data'), ...settings })
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'start'], { cwd: ROOT, env })
  const said = { out: '', err: '' }
  child.stdout.on('data', (data) => {
    said.out += data
    if (said.out.includes('is ready at')) child.kill('SIGTERM')
  })
  child.stderr.on('data', (data) => {
    said.err += data
  })
  const late = setTimeout(() => child.kill('SIGKILL'), WITHIN)
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(late)
      resolve({ ...said, code: said.out.includes('is ready at') ? null : code })
    })
  })
}

function expectRefusal(ended: Ended, what: RegExp): void {
  expect(ended).toMatchObject({ code: 1, out: '', err: expect.stringMatching(what) })
  expect(ended.err).not.toMatch(/\n\s+at |node:internal|Error:/)
  // What is wrong, and what to do.
  expect(ended.err.trim().split('\n').length).toBeLessThanOrEqual(3)
}

/** Without these words `null` would also be one that hung and was killed. */
const STARTED = { code: null, out: expect.stringContaining('is ready at') }
const external = () => ({ DATABASE_URL: database.url, GATEHOUSE_SECRET: TEST_SECRET })

it.each([
  ['http off loopback', { GATEHOUSE_ISSUER: 'http://login.example.com' }, /GATEHOUSE_ISSUER.*https/],
  ['http on an address of this network', { GATEHOUSE_ISSUER: 'http://192.168.1.2:3000' }, /GATEHOUSE_ISSUER.*https/],
  ['a name that only looks like loopback', { GATEHOUSE_ISSUER: 'http://localhost.example.com' }, /GATEHOUSE_ISSUER/],
  [
    'the test profile in public',
    { GATEHOUSE_ISSUER: 'https://login.example.com', GATEHOUSE_PROFILE: 'test' },
    /PROFILE/,
  ],
  ['another profile', { GATEHOUSE_PROFILE: 'development' }, /GATEHOUSE_PROFILE/],
  ['a short secret', { GATEHOUSE_SECRET: 'changeme' }, /GATEHOUSE_SECRET.*32 bytes/],
  ['one short secret of two', { GATEHOUSE_SECRET: `${TEST_SECRET},changeme` }, /GATEHOUSE_SECRET.*32 bytes/],
  ['a proxy that is no address', { GATEHOUSE_TRUSTED_PROXIES: '10.0.0.1,*' }, /GATEHOUSE_TRUSTED_PROXIES.*"\*"/],
])('S-003 %s is refused', async (_what, settings, message) => {
  expectRefusal(await start(settings), message)
  expect(existsSync(join(folder, 'data'))).toBe(false)
})

it('S-003 an external database without a secret is refused: there is no default secret', async () => {
  expectRefusal(await start({ DATABASE_URL: database.url }), /GATEHOUSE_SECRET is required/)
  expectRefusal(await start({ DATABASE_URL: database.url, GATEHOUSE_SECRET: ' , ' }), /GATEHOUSE_SECRET is required/)
})

it('S-003 the wrong secret is refused and harms nothing; the right one starts again', async () => {
  const server = await startTestServer({ database })
  await addCast(server)
  await server.stop()
  const everything = async () => {
    const pool = database.pool()
    const tables = ['key_ring', 'signing_keys', 'clients', 'client_secrets', 'accounts']
    return Promise.all(tables.map(async (name) => (await pool.query(`select * from ${name}`)).rows))
  }
  const before = await everything()
  const wrong = { ...external(), GATEHOUSE_SECRET: 'another secret that is long enough to be taken' }
  expectRefusal(await start(wrong), /secret does not open/i)
  expect(await everything()).toEqual(before)
  expect(await start(external())).toMatchObject(STARTED)
})

it('the wrong secret changes nothing, not even the tables of an upgrade that is due', async () => {
  const { db, close } = connect(database.connection)
  try {
    const columns = async () =>
      (
        await sql`select table_name, column_name from information_schema.columns where table_schema = 'public'
        order by table_name, ordinal_position`.execute(db)
      ).rows
    const whole = await columns()
    const newest = await sql<{ name: string }>`select name from kysely_migration order by name desc limit 1`.execute(db)
    const { name } = newest.rows[0]!
    const { down } = await import(`../../migrations/${name}.ts`)
    await down(db)
    await sql`delete from kysely_migration where name = ${name}`.execute(db)
    const before = await columns()
    expect(before).not.toEqual(whole)
    const wrong = { ...external(), GATEHOUSE_SECRET: 'another secret that is long enough to be taken' }
    expectRefusal(await start(wrong), /secret does not open/i)
    expect(await columns()).toEqual(before)
    expect(await start(external())).toMatchObject(STARTED)
    expect(await columns()).toEqual(whole)
  } finally {
    await close()
  }
})

it('S-003 no page of the engine’s development mode answers, and nothing is kept in memory only', async () => {
  const server = await startTestServer({ database })
  try {
    const html = { headers: { accept: 'text/html' } }
    const abort = await fetch(`${server.issuer}/interaction/x/abort`, html)
    expect(abort.status).toBe(404)
    const page = await fetch(`${server.issuer}/interaction/x`, html)
    expect([page.status, await page.text()]).toEqual([400, expect.stringContaining('This page is too old')])
    // A model without a table of its own refuses; the engine's memory adapter would take it.
    const adapter = createAdapterFactory({ now: () => new Date() } as never)('DeviceCode')
    await expect(adapter.upsert('id', {}, 60)).rejects.toThrow(/no storage/)
    expect(server.log.join('')).not.toMatch(/MemoryAdapter|development-only|quick start/i)
  } finally {
    await server.stop()
  }
})
