// Two server processes on one database, warm pools, and time between the statements: what may happen once happens once.
import { basic, obtainCode, obtainTokens } from '../helpers/flow.ts'
import { type RawAnswer, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, CALLBACK, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

const PARALLEL = 100

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  // Makes tables, keys and the cast; it is not part of the race.
  home = await startTestServer()
  cast = await addCast(home)
})
afterAll(() => home.stop())

describe.each([0, 10, 25])('with %i ms of added database latency', (latency) => {
  let slow: SlowDatabase
  let pair: ServerProcess[]
  let issuer: string
  const server = () => ({ issuer })

  beforeAll(async () => {
    slow = await slowDown(home.database.connection, latency)
    const ports = [await freePort(), await freePort()]
    issuer = `http://localhost:${ports[0]}`
    pair = await Promise.all(
      ports.map((port) =>
        startProcess({
          PORT: String(port),
          GATEHOUSE_ISSUER: issuer,
          DATABASE_URL: slow.url,
          GATEHOUSE_SECRET: TEST_SECRET,
          LOG_LEVEL: 'error',
        }),
      ),
    )
    // A cold pool lets one request finish before the next has a connection, and hides every race.
    const warm = await fire(40, () => ({
      path: '/introspect',
      form: { token: 'x' },
      headers: basic('orders-api', cast.api),
    }))
    expect(new Set(warm.map(({ status }) => status))).toEqual(new Set([200]))
  })
  afterAll(async () => {
    await Promise.all((pair ?? []).map((one) => one.stop()))
    await slow?.close()
  })

  /** Sends requests to both processes in turn, all at once, as a load balancer in front of them would. */
  function fire(
    times: number,
    make: () => { path: string; form: Record<string, string>; headers?: Record<string, string> },
  ): Promise<RawAnswer[]> {
    const host = new URL(issuer).host
    return Promise.all(
      Array.from({ length: times }, (_, index) => {
        const { path, form, headers } = make()
        return send(pair[index % 2]!.port, path, { form, headers: { ...headers, host } })
      }),
    )
  }

  const successes = (answers: RawAnswer[]) => answers.filter(({ status }) => status === 200)
  const noFaults = (answers: RawAnswer[]) => expect(answers.filter(({ status }) => status >= 500)).toEqual([])

  it(`R-01 S-061 one code, ${PARALLEL} redemptions: exactly one 200`, async () => {
    const { code, verifier } = await obtainCode(server(), 'shop', { scope: 'openid orders:read' })
    const answers = await fire(PARALLEL, () => ({
      path: '/token',
      form: { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK },
      headers: basic('shop', cast.shop),
    }))
    noFaults(answers)
    expect(successes(answers)).toHaveLength(1)
    expect(answers.filter(({ body }) => body.error === 'invalid_grant')).toHaveLength(PARALLEL - 1)
  })

  it(`R-02 S-083 S-085 one refresh token of a public client, ${PARALLEL} uses: one successor, carried by every 200`, async () => {
    const { body } = await obtainTokens(server(), { id: 'spa' }, { scope: 'openid things:read' })
    const answers = await fire(PARALLEL, () => ({
      path: '/token',
      form: { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: 'spa' },
    }))
    noFaults(answers)
    const carried = new Set(successes(answers).map((answer) => answer.body.refresh_token))
    expect(carried.size).toBe(1)
    expect(carried.has(body.refresh_token)).toBe(false)
    expect(successes(answers).length).toBe(PARALLEL)
    const heads = await home.database
      .pool()
      .query('select generation from refresh_families order by generation desc limit 1')
    expect(heads.rows[0].generation).toBe(2)
  })

  it(`S-086 one refresh token of a confidential client, ${PARALLEL} uses: every 200 carries the presented token`, async () => {
    const { body } = await obtainTokens(server(), { id: 'shop', secret: cast.shop }, { scope: 'openid orders:read' })
    const answers = await fire(PARALLEL, () => ({
      path: '/token',
      form: { grant_type: 'refresh_token', refresh_token: body.refresh_token },
      headers: basic('shop', cast.shop),
    }))
    noFaults(answers)
    expect(successes(answers)).toHaveLength(PARALLEL)
    expect(new Set(answers.map((answer) => answer.body.refresh_token))).toEqual(new Set([body.refresh_token]))
  })
})
