// All clocks are put back: what was made before lies ahead, and must not live for longer by as much.
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { introspect, obtainCode, obtainTokens, redeem, refresh } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

const spa = { id: 'spa' }
const things = { scope: 'openid things:read' }
let server: TestServer
let api: { id: string; secret: string }

beforeAll(async () => {
  server = await startTestServer()
  api = { id: 'orders-api', secret: (await addCast(server)).api }
})
afterAll(() => server.stop())
beforeEach(() => holdClock())
afterEach(() => releaseClock())

it('R-37 a code of before is refused, one that is a little ahead is not', async () => {
  const [before, ahead] = [await obtainCode(server, spa.id), await obtainCode(server, spa.id)]
  passSeconds(-8)
  expect((await redeem(server, spa, ahead)).status).toBe(200)
  passSeconds(-592)
  expect((await redeem(server, spa, before)).body).toMatchObject({ error: 'invalid_grant' })
  expect((await redeem(server, spa, await obtainCode(server, spa.id))).status).toBe(200)
})

it('R-37 a code that was used is known for a replay all the same', async () => {
  const got = await obtainCode(server, spa.id, things)
  const { body } = await redeem(server, spa, got)
  passSeconds(-600)
  expect((await redeem(server, spa, got)).status).toBe(400)
  expect(await introspect(server, api, body.access_token)).toEqual({ active: false })
})

it('R-37 a refresh token that was replaced has no grace any more, its successor is good, and expires_in is what it was', async () => {
  const { body } = await obtainTokens(server, spa, things)
  const other = await obtainTokens(server, spa, things)
  const successor = (await refresh(server, spa, body.refresh_token)).body.refresh_token
  passSeconds(-600)
  const next = await refresh(server, spa, other.body.refresh_token)
  expect(next).toMatchObject({ status: 200, body: { expires_in: 600 } })
  expect((await refresh(server, spa, body.refresh_token)).status).toBe(400)
  expect((await refresh(server, spa, successor)).status).toBe(400)
})
