// Two server processes on one slow database: what is good for one use is used once, whoever of many is first (SECURITY R-06),
// and who is refused uses nothing up.
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, basic, obtainTokens, passPages, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { type RawAnswer, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { createProver } from '../helpers/prover.ts'
import { addCast, CALLBACK, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

const PARALLEL = 50

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let slow: SlowDatabase
let pair: ServerProcess[]
let issuer: string
const server = () => ({ issuer })

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  slow = await slowDown(home.database.connection, 50)
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
  const warm = await fire('/introspect', { form: { token: 'x' }, headers: basic('orders-api', cast.api) })
  expect(new Set(warm.map(({ status }) => status))).toEqual(new Set([200]))
})
afterAll(async () => {
  await Promise.all((pair ?? []).map((one) => one.stop()))
  await slow?.close()
  await home?.stop()
})

/** Sends one request many times, to both processes in turn and all at once. */
function fire(
  path: string,
  { form, headers = {} }: { form?: Record<string, string>; headers?: Record<string, string> },
): Promise<RawAnswer[]> {
  const host = new URL(issuer).host
  return Promise.all(
    Array.from({ length: PARALLEL }, (_, index) =>
      send(pair[index % 2]!.port, path, { form, headers: { ...headers, host } }),
    ),
  )
}

const noFaults = (answers: RawAnswer[]) => expect(answers.filter(({ status }) => status >= 500)).toEqual([])

it(`R-06 S-053 one request_uri x${PARALLEL} by a person who is signed in: one success`, async () => {
  const shop = { id: 'shop', secret: cast.shop }
  const browser = createBrowser(issuer)
  await passPages(browser, await browser.open(authorizeUrl(server(), 'shop', pkce().challenge)))
  const { verifier, challenge } = pkce()
  const { body } = await post(
    server(),
    '/par',
    {
      client_id: 'shop',
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'openid',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    },
    shop,
  )
  const address = `/authorize?${new URLSearchParams({ client_id: 'shop', request_uri: String(body.request_uri) })}`
  const answers = await fire(address, { headers: { cookie: await browser.jar.getCookieString(issuer) } })
  noFaults(answers)
  const heard = answers.map(({ headers, text }) => {
    const at = headers.location === undefined ? undefined : new URL(String(headers.location), issuer).searchParams
    return at?.get('code') ?? at?.get('error') ?? /invalid_request_uri/.exec(text)?.[0]
  })
  const codes = heard.filter((one) => one?.startsWith('gth_ac_'))
  expect(codes).toHaveLength(1)
  expect(heard.filter((one) => one === 'invalid_request_uri')).toHaveLength(PARALLEL - 1)
  expect((await redeem(server(), shop, { code: codes[0]!, verifier })).status).toBe(200)
})

it(`R-06 S-119 one DPoP proof x${PARALLEL}: one success; its nonce is good at both processes`, async () => {
  const prover = await createProver()
  const url = `${issuer}/token`
  const form = { grant_type: 'client_credentials' }
  const headers = basic('billing', cast.billing)
  const first = await fire('/token', { form, headers: { ...headers, dpop: await prover.prove('POST', url) } })
  noFaults(first)
  expect(first.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(first.filter(({ body }) => body.error === 'invalid_grant')).toHaveLength(PARALLEL - 1)
  const nonces = new Set(first.map((answer) => String(answer.headers['dpop-nonce'])))
  // Two, if a minute went by meanwhile.
  expect(nonces.size).toBeLessThanOrEqual(2)
  for (const nonce of nonces) {
    for (const { port } of pair) {
      const dpop = await prover.prove('POST', url, { nonce })
      const answer = await send(port, '/token', { form, headers: { ...headers, dpop, host: new URL(issuer).host } })
      expect([answer.status, answer.body.token_type]).toEqual([200, 'DPoP'])
    }
  }
})

it('S-083 S-085 refreshes that are refused and good ones, of one token, together: one rotation, one successor', async () => {
  const spa = { id: 'spa' }
  const { body } = await obtainTokens(server(), spa, { scope: 'openid orders:read' })
  const form = { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: 'spa' }
  const headers = { host: new URL(issuer).host }
  const answers = await Promise.all(
    Array.from({ length: 9 }, async (_, index) => {
      const good = index % 3 > 0
      const more: Record<string, string> = good ? {} : { resource: 'https://typo.example' }
      return { good, ...(await send(pair[index % 2]!.port, '/token', { form: { ...form, ...more }, headers })) }
    }),
  )
  expect(answers.filter(({ good }) => !good).map(({ body: { error } }) => error)).toEqual(
    Array(3).fill('invalid_target'),
  )
  const successors = answers.filter(({ good }) => good).map(({ body: { refresh_token } }) => refresh_token)
  expect([successors.length, new Set(successors).size, successors[0]]).toEqual([
    6,
    1,
    expect.stringMatching(/^gth_rt_/),
  ])
  const { rows } = await home.database
    .pool()
    .query(`select count(*)::int as n from audit_entries where kind = 'family.rotated'`)
  expect(rows).toEqual([{ n: 1 }])
  expect((await refresh(server(), spa, String(successors[0]))).status).toBe(200)
})
