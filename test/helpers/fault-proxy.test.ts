// The proxy does to a real connection what its words say.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { until } from './until.ts'

let database: TestDatabase
let proxy: FaultProxy
const clients: pg.Client[] = []

beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  await proxy.close()
  await Promise.all(clients.splice(0).map((client) => client.end()))
})
afterAll(() => database.drop())

async function client(): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: proxy.url })
  made.on('error', () => undefined)
  clients.push(made)
  await made.connect()
  return made
}
const one = async (by: pg.Client) => (await by.query('select 1 as one')).rows[0].one
const within = <T>(work: Promise<T>, ms: number) => Promise.race([work, sleep(ms, 'nothing' as const)])

it.each(['socket', 'tcp'] as const)('leads to the database over %s, with latency, and breaks', async (over) => {
  proxy = await startFaultProxy(database.connection, { over })
  const connected = await client()
  proxy.delay(100)
  const begun = performance.now()
  expect(await one(connected)).toBe(1)
  expect(performance.now() - begun).toBeGreaterThan(95)
  proxy.delay(0)
  proxy.cut()
  await expect(one(connected)).rejects.toThrow()
  expect(await one(await client())).toBe(1)
  await proxy.interrupt()
  await expect(client()).rejects.toThrow()
  await proxy.resume()
  expect(await one(await client())).toBe(1)
})

it('a black hole says nothing, and what it held arrives when it ends', async () => {
  proxy = await startFaultProxy(database.connection)
  const connected = await client()
  proxy.blackHole()
  const asked = one(connected)
  const late = client()
  expect(await within(asked, 100)).toBe('nothing')
  expect(await within(late, 100)).toBe('nothing')
  await proxy.resume()
  expect(await asked).toBe(1)
  expect(await one(await late)).toBe(1)
})

it.each([
  ['answer', true],
  ['request', false],
  ['cut', true],
] as const)('loses the next %s', async (what, arrives) => {
  proxy = await startFaultProxy(database.connection)
  const connected = await client()
  await database.pool().query('create table if not exists arrived (what text)')
  proxy.loseNext('INSERT into', what)
  const lost = connected.query('insert into arrived values ($1)', [what])
  if (what === 'cut') await expect(lost).rejects.toThrow()
  else expect(await within(lost, 150)).toBe('nothing')
  const other = await client()
  const count = async () => (await other.query('select from arrived where what = $1', [what])).rowCount
  // The database may still be at it.
  if (arrives) await until(count)
  else expect(await count()).toBe(0)
})

it('leads elsewhere', async () => {
  proxy = await startFaultProxy({ ...database.connection, port: 1 })
  await expect(client()).rejects.toThrow()
  proxy.switchTo(database.connection)
  expect(await one(await client())).toBe(1)
})
