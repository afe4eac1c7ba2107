// Somebody tries passwords without end; the person signs in all the same, in a browser that is known (S-162).
import { LIMITS } from '../../src/throttle/limits.ts'
import { type Browser, createBrowser } from '../helpers/browser.ts'
import { PASSWORD, type TestServer } from '../helpers/server.ts'
import { inOneVersion, statementsOf } from '../helpers/statements.ts'
import { count, signInForm, startTwoNodes, type TwoNodes, times, WRONG } from './two-nodes.ts'

const { account, device, devices, network } = LIMITS.signIn

let nodes: TwoNodes
let server: TestServer
let behind: TestServer

beforeAll(async () => {
  nodes = await startTwoNodes()
  ;({ server, behind } = nodes)
})
afterAll(() => nodes?.stop())
beforeEach(() => nodes.query('delete from throttle_buckets'))

const known = async (email: string) => {
  const browser = createBrowser(behind.issuer)
  const { submit } = await signInForm(behind, { browser })
  expect((await submit(email, PASSWORD)).status).toBe(303)
  return browser
}
/** As many tries on other accounts would. */
const emptyNetwork = () =>
  nodes.query(
    `insert into throttle_buckets values ($1, now() + interval '${network.burst * network.every} s')
    on conflict (key) do update set expires_at = excluded.expires_at`,
    [server.rooms.ring.handles('throttle', ['sign-in', 'network', '198.51.100.7'].join('\0'))[0]],
  )

const drain = async (email: string, browser?: Browser) => {
  const { submit } = await signInForm(behind, { browser })
  const answers = await times(account.burst + 5, () => submit(email, WRONG))
  expect(count(answers, 429)).toBeGreaterThan(0)
  return submit
}

it('S-162 the person signs in while somebody else, in the same network, tries without end', async () => {
  const email = 'victim@example.com'
  await server.addPerson(email)
  const browser = await known(email)
  const attack = await drain(email)
  await emptyNetwork()
  let over = false
  const attacker = (async () => {
    while (!over) expect((await attack(email, WRONG)).status).toBe(429)
  })()
  for (let index = 0; index < 3; index++) {
    const { submit } = await signInForm(behind, { browser })
    expect((await submit(email, WRONG)).status).toBe(401)
    expect((await submit(email, PASSWORD)).status).toBe(303)
  }
  over = true
  await attacker
  await emptyNetwork() // it has a try more every few seconds
  // A browser that is not known has to wait.
  expect((await (await signInForm(behind)).submit(email, PASSWORD)).status).toBe(429)
  expect((await (await signInForm(behind)).submit('ada@example.com', PASSWORD)).status).toBe(429)
})

it('S-162 the tries of a known browser are limited, too', async () => {
  const email = 'thief@example.com'
  await server.addPerson(email)
  const browser = await known(email)
  await drain(email)
  const { submit } = await signInForm(behind, { browser })
  const answers = await times(device.burst + 10, () => submit(email, WRONG))
  expect(count(answers, 401)).toBe(device.burst)
  expect((await submit(email, PASSWORD)).status).toBe(429)
})

it('S-162 the cookie of one account, or a made-up one, is worth nothing for another', async () => {
  const [mine, other] = ['mine@example.com', 'other@example.com']
  for (const email of [mine, other]) await server.addPerson(email)
  const browser = await known(mine)
  await drain(other)
  expect((await (await signInForm(behind, { browser })).submit(other, PASSWORD)).status).toBe(429)
  const cookie = (await browser.jar.getCookies(behind.issuer)).find(({ key }) => key === 'gatehouse-device')!
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'lax', path: '/' })
  const forger = createBrowser(behind.issuer)
  await drain(mine)
  for (const value of [`_x${cookie.value.slice(2)}`, 'A'.repeat(43), 'A', `${cookie.value}A`]) {
    await forger.jar.setCookie(`gatehouse-device=${value}; Path=/`, behind.issuer)
    const { submit } = await signInForm(behind, { browser: forger })
    expect((await submit(mine, PASSWORD)).status).toBe(429)
  }
  await forger.jar.setCookie(`gatehouse-device=${cookie.value}; Path=/`, behind.issuer)
  expect((await (await signInForm(behind, { browser: forger })).submit(mine, PASSWORD)).status).toBe(303)
})

it('a set-password link makes the browser known, so that it is a way back in', async () => {
  const email = 'back@example.com'
  const id = await server.addPerson(email)
  await drain(email)
  const browser = createBrowser(behind.issuer)
  const { token } = await server.rooms.accounts.makeSetPasswordLink(id, 'operator')
  const page = await browser.open(`${behind.issuer}/set-password?token=${token}`)
  expect((await browser.press(page, 'set-password', { password: 'seven tall herons in the reeds' })).status).toBe(200)
  const { submit } = await signInForm(behind, { browser })
  expect((await submit(email, 'seven tall herons in the reeds')).status).toBe(303)
})

it.each<[string, (id: string) => Promise<unknown>]>([
  ['a new password', (id) => server.rooms.accounts.setPassword(id, 'seven tall herons in the reeds', 'operator')],
  ['revoking all that is open', (id) => server.rooms.accounts.revoke(id, 'operator')],
  [
    'disabling',
    async (id) => {
      await server.rooms.accounts.disable(id, 'operator')
      await server.rooms.accounts.enable(id, 'operator')
    },
  ],
])('S-161 cookies from before %s are worth no tries', async (what, end) => {
  const email = `${what.replaceAll(' ', '-')}@example.com`
  const id = await server.addPerson(email)
  const old = await times(3, () => known(email))
  await end(id)
  await nodes.query('delete from throttle_buckets')
  const guesses: Response[] = []
  for (const browser of [undefined, ...old]) {
    const { submit } = await signInForm(behind, { browser })
    guesses.push(...(await times(account.burst + 2, () => submit(email, WRONG))))
  }
  expect([count(guesses, 401), count(guesses, 429)]).toEqual([account.burst, guesses.length - account.burst])
})

it('S-161 all known browsers of an account together have hardly more tries than one', async () => {
  const email = 'collector@example.com'
  await server.addPerson(email)
  const guesses: Response[] = []
  for (const browser of await times(5, () => known(email))) {
    const { submit } = await signInForm(behind, { browser })
    guesses.push(...(await times(device.burst + 2, () => submit(email, WRONG))))
  }
  expect(count(guesses, 401)).toBe(devices.burst)
})

it('S-160 for whoever has a cookie, an address that nobody has is as much work as one that somebody has', async () => {
  await server.addPerson('somebody@example.com')
  const browser = await known('ada@example.com')
  const tries = async (email: string) => {
    const { submit } = await signInForm(behind, { browser })
    const statuses: number[] = []
    const statements = await statementsOf(async () => {
      for (let index = 0; index <= account.burst; index++) statuses.push((await submit(email, WRONG)).status)
    })
    return { statuses, statements }
  }
  const seen = await inOneVersion(
    behind.rooms.live!,
    async () => [await tries('somebody@example.com'), await tries('nobody@example.com')],
    () => nodes.query('delete from throttle_buckets'),
  )
  expect(seen[1]).toEqual(seen[0])
  expect(seen[0]!.statuses).toEqual([401, 401, 401, 401, 401, 429])
})

it('S-161 a change of the key ring makes no bucket full again', async () => {
  const email = 'ring@example.com'
  await server.addPerson(email)
  const guess = await drain(email)
  await server.rooms.rekey.addVersion('operator')
  expect((await guess(email, WRONG)).status).toBe(429)
  // Nor do a node that has the new keys and one that has not count apart.
  await nodes.query('delete from throttle_buckets')
  await drain(email)
  const versions = server.rooms.ring.handles('throttle', '').length
  expect([versions, (await (await signInForm(server)).submit(email, WRONG)).status]).toEqual([2, 429])
})
