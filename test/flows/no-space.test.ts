// A database without space for an audit entry: the entry and what it tells of are one commit, so neither is there. The database
// here only says that it is full; the fault bench fills disks.
import type pg from 'pg'
import { basic, introspect, post } from '../helpers/flow.ts'
import { runCommand, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let node: ServerProcess
let pool: pg.Pool
let settings: Record<string, string> & { PORT: string }
let secrets: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  const port = String(await freePort())
  const issuer = `http://localhost:${port}`
  server = await startTestServer({ env: { GATEHOUSE_ISSUER: issuer } })
  secrets = await addCast(server)
  settings = { PORT: port, GATEHOUSE_ISSUER: issuer, DATABASE_URL: server.database.url, GATEHOUSE_SECRET: TEST_SECRET }
  node = await startProcess(settings)
  pool = server.database.pool()
  await pool.query(`
    create function full_disk() returns trigger language plpgsql as $$ begin
      raise exception 'could not extend file "base/1/2": No space left on device' using errcode = '53100';
    end $$`)
})
afterAll(async () => {
  await node.stop()
  await server.stop()
})
beforeEach(() =>
  pool.query('create trigger full_disk before insert on audit_entries for each row execute function full_disk()'),
)
afterEach(() => pool.query('drop trigger if exists full_disk on audit_entries'))

const state = async () =>
  (
    await pool.query(`select (select count(*)::int from clients) as clients, (select count(*)::int from accounts) as people,
      (select count(*)::int from accounts where disabled_at is not null) as disabled,
      (select array_agg(epoch order by id) from clients) as epochs, (select count(*)::int from client_secrets) as secrets,
      (select array_agg(state order by kid) from signing_keys) as keys, (select count(*)::int from endings) as endings`)
  ).rows[0]

it.each([
  ['user', 'disable', 'ada@example.com'],
  ['user', 'add', 'eve@example.com'],
  ['client', 'disable', 'shop'],
  ['client', 'add', 'new', '--name', 'New', '--kind', 'service'],
  ['client', 'rotate-secret', 'shop'],
  ['revoke', '--user', 'ada@example.com'],
])('R-30 an act that cannot be audited is not done: %s %s', async (...args) => {
  const before = await state()
  const { code, out, err } = await runCommand(settings, args)
  expect({ code, out, err }).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/no space left on its disk/),
  })
  expect(err).not.toMatch(/\n\s+at /)
  expect(await state()).toEqual(before)
})

it('R-30 requests that write are a 503 with Retry-After, those that read are answered; with space all is well again', async () => {
  const asked = { issuer: server.issuer }
  const form = { grant_type: 'client_credentials', resource: THINGS }
  const issue = () =>
    send(node.port, '/token', { form, headers: { ...basic('shop', secrets.shop), host: new URL(asked.issuer).host } })
  const refused = await issue()
  expect([refused.status, refused.headers['retry-after'], refused.body.error]).toEqual([
    503,
    '2',
    'temporarily_unavailable',
  ])
  for (const path of ['/healthz', '/readyz']) expect((await send(node.port, path)).status).toBe(200)
  expect(await introspect(asked, { id: 'orders-api', secret: secrets.api }, 'x')).toEqual({ active: false })
  await pool.query('drop trigger full_disk on audit_entries')
  const issued = await issue()
  expect(issued.status).toBe(200)
  const token = String(issued.body.access_token)
  expect(await introspect(asked, { id: 'orders-api', secret: secrets.api }, token)).toMatchObject({ active: true })
  expect((await post(asked, '/revoke', { token }, { id: 'shop', secret: secrets.shop })).status).toBe(200)
})
