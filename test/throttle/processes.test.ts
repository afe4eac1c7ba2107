// Many processes, one bucket: guesses that arrive at all of them at once, over a database that takes its time.
import { load } from 'cheerio'
import { LIMITS } from '../../src/throttle/limits.ts'
import { createBrowser } from '../helpers/browser.ts'
import { type Cluster, startCluster } from '../helpers/cluster.ts'
import { authorizeUrl, pkce } from '../helpers/flow.ts'
import type { RawAnswer } from '../helpers/process.ts'
import { addCast, freePort, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

const PARALLEL = 200
const { burst } = LIMITS.signIn.account

let home: TestServer
let cluster: Cluster

beforeAll(async () => {
  // Makes tables, keys and people; it is not part of the race.
  home = await startTestServer()
  const cast = await addCast(home)
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()]
  cluster = await startCluster({
    database: home.database,
    ports,
    api: { id: 'orders-api', secret: cast.api },
    warm: PARALLEL,
    // Every try comes from a network of its own, as far as the servers know.
    env: { GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1' },
  })
}, 60_000)
afterAll(async () => {
  await cluster?.stop()
  await home?.stop()
})

/** @returns a function that guesses at all processes at once, from one page */
async function guesser() {
  const browser = createBrowser(cluster.issuer)
  const page = await browser.open(authorizeUrl(cluster, 'spa', pkce().challenge))
  const csrf = load(page.html)('[name=csrf]').attr('value')!
  const cookie = await browser.jar.getCookieString(page.url.href)
  return (times: number, email: string, password: (index: number) => string): Promise<RawAnswer[]> =>
    cluster.fire(times, (index) => ({
      path: page.url.pathname,
      form: { csrf, email, password: password(index), action: 'sign-in' },
      headers: { cookie, origin: cluster.issuer, 'x-forwarded-for': `198.51.${index >> 8}.${index & 255}` },
    }))
}

const count = (answers: readonly RawAnswer[], status: number) => answers.filter((one) => one.status === status).length

it.each([0, 10, 50])(
  'R-08 S-161 S-200 four processes, %i ms to the database, 200 wrong passwords at once: at most 5 are looked at',
  async (latency) => {
    cluster.way.delay(latency)
    const email = `guessed-${latency}@example.com`
    await home.addPerson(email)
    const guess = await guesser()
    const answers = await guess(PARALLEL, email, (index) => `wrong lanterns by the gate ${index}`)
    expect([count(answers, 401), count(answers, 429)]).toEqual([burst, PARALLEL - burst])
    // Had more been looked at, the right one among them would have come in.
    expect((await guess(8, email, () => PASSWORD)).map(({ status }) => status)).toEqual(Array(8).fill(429))
    for (const { headers } of answers.filter(({ status }) => status === 429))
      expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  },
  60_000,
)

it('R-08 S-161 with the right password among them, no more wrong ones are looked at', async () => {
  cluster.way.delay(10)
  const email = 'guessed-right@example.com'
  await home.addPerson(email)
  const guess = await guesser()
  const right = (index: number) => index % 50 === 3
  const answers = await guess(PARALLEL, email, (index) => (right(index) ? PASSWORD : `wrong lanterns ${index}`))
  expect(count(answers, 401)).toBeLessThanOrEqual(burst)
  expect(answers.filter(({ status }) => status >= 500)).toEqual([])
}, 60_000)
