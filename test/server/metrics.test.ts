// /metrics: for who sits on this machine or brings the token; numbers with labels from closed lists.
import { createServer, request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import Koa from 'koa'
import { SWEPT_TABLES } from '../../src/db/swept.ts'
import { metricsDoor } from '../../src/server/metrics-door.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { freePort, TEST_SECRET } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'
import { until } from '../helpers/until.ts'

const TOKEN = 'token.of-the_scraper~1+/='

let database: TestDatabase
let slow: SlowDatabase
let open: ServerProcess
let withToken: ServerProcess

beforeAll(async () => {
  database = await createTestDatabase()
  slow = await slowDown(database.connection, 0)
  const env = { GATEHOUSE_SECRET: TEST_SECRET, LOG_LEVEL: 'error' }
  open = await startProcess({ ...env, PORT: String(await freePort()), DATABASE_URL: slow.url, HOST: '0.0.0.0' })
  withToken = await startProcess({
    ...env,
    PORT: String(await freePort()),
    DATABASE_URL: database.url,
    GATEHOUSE_METRICS_TOKEN: TOKEN,
    GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1',
  })
})
afterAll(async () => {
  await Promise.all([open?.stop(), withToken?.stop()])
  await slow?.close()
  await database?.drop()
})

const read = async (server: ServerProcess, headers: Record<string, string> = {}) =>
  (await send(server.port, '/metrics', { headers })).status
const scrape = async () => (await send(open.port, '/metrics')).text
/** @returns the value of a series, by its name with labels as written */
const seriesOf = (text: string, series: string) => {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

it('tells of process, requests, pool, database and sweeps in the format of Prometheus', async () => {
  expect((await send(open.port, '/jwks')).status).toBe(421)
  const { status, headers, text } = await send(open.port, '/metrics')
  expect([status, headers['content-type'], headers['cache-control']]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    'no-store',
  ])
  for (const line of text.split('\n').filter(Boolean)) {
    expect(line).toMatch(
      /^(# (HELP|TYPE) [a-z_0-9]+ .+|[a-z_0-9]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[\d.e+-]+|.* Nan)$/i,
    )
  }
  expect(seriesOf(text, 'gatehouse_database_up')).toBe(1)
  expect(seriesOf(text, 'gatehouse_http_request_duration_seconds_count{route="/jwks",status="4xx"}')).toBe(1)
  expect(seriesOf(text, 'gatehouse_database_connections{state="idle"}')).toBeGreaterThan(0)
  expect(seriesOf(text, 'gatehouse_database_waiting')).toBe(0)
  expect(seriesOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0)
})

it('tells of sweeps: the lag of each table, what was removed, and what could not be', async () => {
  const own = await createTestDatabase()
  await own.pool().query(`
    insert into replays select decode(md5(n::text), 'hex'), now() - interval '1 day' from generate_series(1, 3) n;
    insert into endings select 'token', '\\x00', 'r', now(), now() - interval '1 hour';
    create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before delete on endings for each row execute function refuse()`)
  const server = await startProcess({
    PORT: String(await freePort()),
    DATABASE_URL: own.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'fatal',
  })
  try {
    let text = ''
    const value = (series: string) => seriesOf(text, `gatehouse_sweep_${series}`)
    const done = () => value('removed_rows_total{table="replays"}') && value('errors_total{table="endings"}')
    await until(async () => {
      text = (await send(server.port, '/metrics')).text
      return done()
    })
    expect(value('removed_rows_total{table="replays"}')).toBe(3)
    expect(value('errors_total{table="endings"}')).toBe(1)
    expect(value('errors_total{table="replays"}')).toBe(undefined)
    expect(value('batch_duration_seconds_count')).toBe(1)
    const lags = SWEPT_TABLES.map((table) => [table, value(`lag_seconds{table="${table}"}`)])
    const { endings, ...others } = Object.fromEntries(lags)
    expect(endings).toBeCloseTo(3600 - 60, -2)
    expect(new Set(Object.values(others))).toEqual(new Set([0]))
  } finally {
    await server.stop()
    await own.drop()
  }
})

it('no label holds what a caller sent', async () => {
  const secrets = ['gth_at_1234567890abcdef', 'uid-of-an-interaction', 'the-state', 'made/up/path', 'x%22%7D%0A']
  for (const path of [
    `/interaction/${secrets[1]}`,
    `/authorize/${secrets[1]}?state=${secrets[2]}`,
    `/token?access_token=${secrets[0]}`,
    `/${secrets[3]}`,
    `/${secrets[4]}`,
  ]) {
    await send(open.port, path, { headers: { host: `localhost:${open.port}`, authorization: `Bearer ${secrets[0]}` } })
  }
  const text = await scrape()
  for (const secret of secrets) expect([secret, text.includes(secret)]).toEqual([secret, false])
  const routes = [...text.matchAll(/_count\{route="([^"]*)"/g)].map((match) => match[1])
  expect(routes).toEqual(expect.arrayContaining(['/interaction', '/authorize', 'other']))
  expect(routes.filter((route) => !/^\/[a-z.-]*$|^other$/.test(route!))).toEqual([])
})

describe('who may read', () => {
  it('whoever sits on this machine, whatever Host they ask for', async () => {
    expect(await read(open)).toBe(200)
    expect(await read(open, { host: 'metrics.example.com' })).toBe(200)
    expect((await send(open.port, '/metrics', { method: 'HEAD' })).status).toBe(200)
  })

  it.each(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via'])(
    'nobody behind a proxy on this machine, which adds %s',
    async (name) => {
      const host = { host: `localhost:${open.port}` }
      expect(await read(open, { ...host, [name]: '127.0.0.1' })).toBe(404)
      expect(await read(withToken, { ...host, [name]: '203.0.113.9' })).toBe(404)
    },
  )

  it('nobody who comes over another address of this machine', async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((all) => all!.filter((one) => !one.internal))
    const own = addresses.find(({ family }) => family === 'IPv4')
    if (own) expect((await fetch(`http://${own.address}:${open.port}/metrics`)).status).toBe(404)
    // A peer without an address is nobody's neighbour, either.
    const app = new Koa()
    app.use(metricsDoor({ metrics: { read: async () => 'secret', contentType: 'text/plain' } }))
    const path = join(database.connection.host, `metrics-${process.pid}.sock`)
    const server = createServer(app.callback())
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const status = await new Promise((resolve, reject) => {
      request({ socketPath: path, path: '/metrics' }, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end()
    })
    server.close()
    expect(status).toBe(404)
  })

  it('who brings the token, from wherever', async () => {
    const far = { 'x-forwarded-for': '203.0.113.9' }
    expect(await read(withToken, { ...far, authorization: `Bearer ${TOKEN}` })).toBe(200)
    expect(await read(withToken, { ...far, authorization: `bearer ${TOKEN}` })).toBe(200)
    for (const authorization of [
      'Bearer',
      `Bearer ${TOKEN}x`,
      `Bearer x`,
      `Basic ${TOKEN}`,
      TOKEN,
      'Bearer undefined',
    ]) {
      expect([authorization, await read(withToken, { ...far, authorization })]).toEqual([authorization, 404])
      expect([authorization, await read(open, { ...far, authorization })]).toEqual([authorization, 404])
    }
  })

  it('and who may not gets the answer of an address where nothing is', async () => {
    const headers = { host: `localhost:${open.port}`, 'x-forwarded-for': '203.0.113.9' }
    const ask = (path: string) => send(open.port, path, { headers })
    const [nothing, metrics] = await Promise.all([ask('/nothing'), ask('/metrics')])
    expect([metrics.status, metrics.body.error]).toEqual([nothing.status, nothing.body.error])
    expect((await send(open.port, '/metrics', { form: { a: 'b' } })).status).toBe(404)
  })
})

it('answers while the database is away, and says that it is', async () => {
  await slow.interrupt()
  const begun = performance.now()
  const text = await scrape()
  expect(performance.now() - begun).toBeLessThan(3000)
  expect(seriesOf(text, 'gatehouse_database_up')).toBe(0)
  await slow.resume()
  await until(async () => seriesOf(await scrape(), 'gatehouse_database_up') === 1)
})
