// A server with a single connection for requests: whatever needs a second one while it holds the first would wait for itself, as
// would many of its kind when all connections of a larger pool are taken (SECURITY R-26).
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, obtainTokens, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  server = await startTestServer({ env: { GATEHOUSE_DATABASE_CONNECTIONS: '1' } })
  cast = await addCast(server)
})
afterAll(() => server?.stop())
afterEach(() => expect(server.log.filter((line) => line.includes('"status":503'))).toEqual([]))

const spa = { id: 'spa' }
const shop = () => ({ id: 'shop', secret: cast.shop })
const api = () => ({ id: 'orders-api', secret: cast.api })
const times = <T>(count: number, work: () => Promise<T>) => Promise.all(Array.from({ length: count }, work))

it('R-26 issues, refreshes, introspects and revokes, five at a time', async () => {
  const all = await times(5, () => obtainTokens(server, spa, { scope: 'openid things:read' }))
  const [first] = all
  const again = await times(5, () => refresh(server, spa, first!.body.refresh_token))
  expect(again.map(({ status }) => status)).toEqual(Array(5).fill(200))
  expect(await introspect(server, api(), again[0]!.body.access_token)).toMatchObject({ active: true })
  const own = await times(5, () =>
    post(server, '/token', { grant_type: 'client_credentials', resource: THINGS }, shop()),
  )
  expect(own.map(({ status }) => status)).toEqual(Array(5).fill(200))
  for (const { body } of own) await post(server, '/revoke', { token: body.access_token }, shop())
  await post(server, '/revoke', { token: again[0]!.body.refresh_token }, spa)
  expect((await refresh(server, spa, again[0]!.body.refresh_token)).status).toBe(400)
})

it('R-26 asks for consent, and ends what a replayed code gave', async () => {
  const got = await obtainCode(server, 'shop', { scope: 'openid orders:read' })
  const answers = await times(5, () => redeem(server, shop(), got))
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400])
})

it('R-26 counts wrong passwords, sets new ones, and signs out', async () => {
  const browser = createBrowser(server.issuer)
  const login = await browser.open(authorizeUrl(server, 'spa', pkce().challenge))
  const wrong = await browser.press(login, 'sign-in', { email: 'ada@example.com', password: 'not this one, surely' })
  expect(wrong.html).toContain('value="sign-in"')
  const grace = await server.addPerson('grace@example.com')
  const { token } = await server.rooms.accounts.makeSetPasswordLink(grace, 'operator')
  const visitor = createBrowser(server.issuer)
  const page = await visitor.open(`${server.issuer}/set-password?token=${token}`)
  const set = await visitor.press(page, 'set-password', { password: `${PASSWORD} again` })
  expect(set.status).toBe(200)
  await server.rooms.accounts.remove(grace, 'operator')
})
