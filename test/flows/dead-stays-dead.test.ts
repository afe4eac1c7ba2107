// What was revoked or used up stays so when the server dies without warning and another one starts (Keycloak CVE-2026-9802).
import { basic, obtainCode, obtainTokens, post, redeem, refresh } from '../helpers/flow.ts'
import { type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let running: ServerProcess | undefined
let settings: Record<string, string> & { PORT: string }
const at = () => ({ issuer: `http://localhost:${settings.PORT}` })
const shop = () => ({ id: 'shop', secret: cast.shop })
const spa = { id: 'spa' }

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  settings = {
    PORT: String(await freePort()),
    DATABASE_URL: home.database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  }
  running = await startProcess(settings)
})
afterAll(async () => {
  await running?.stop()
  await home?.stop()
})

it('S-091 revoked and replayed tokens and used codes are refused after kill -9 and a new start', async () => {
  const code = await obtainCode(at(), 'shop', { scope: 'openid orders:read' })
  const used = (await redeem(at(), shop(), code)).body
  const revoked = (await obtainTokens(at(), shop(), { scope: 'openid orders:read' })).body
  await post(at(), '/revoke', { token: revoked.refresh_token }, shop())
  const single = (await obtainTokens(at(), shop(), { scope: 'openid orders:read' })).body
  await post(at(), '/revoke', { token: single.access_token }, shop())
  const rotated = (await obtainTokens(at(), spa, { scope: 'openid orders:read' })).body
  const second = (await refresh(at(), spa, rotated.refresh_token)).body
  const third = (await refresh(at(), spa, second.refresh_token)).body
  const live = (await obtainTokens(at(), shop(), { scope: 'openid orders:read' })).body

  await running!.kill()
  running = await startProcess(settings)

  const active = async (token: string) => {
    const headers = { ...basic('orders-api', cast.api), host: new URL(at().issuer).host }
    return (await send(running!.port, '/introspect', { form: { token }, headers })).body.active
  }
  expect([await active(live.access_token), (await refresh(at(), shop(), live.refresh_token)).status]).toEqual([
    true,
    200,
  ])
  for (const token of [revoked.access_token, single.access_token]) expect(await active(token)).toBe(false)
  const dead = [
    await refresh(at(), shop(), revoked.refresh_token),
    await redeem(at(), shop(), code),
    await refresh(at(), shop(), used.refresh_token),
    // Used before its successor was: it ends the family.
    await refresh(at(), spa, rotated.refresh_token),
    await refresh(at(), spa, third.refresh_token),
  ]
  for (const { status, body } of dead) expect([status, body.error]).toEqual([400, 'invalid_grant'])
})
