// Authorization codes: used once, by whom they were made for, in time (SECURITY group E).

import { introspect, obtainCode, obtainTokens, post, redeem, refresh } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })
const api = () => ({ id: 'orders-api', secret: cast.api })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

it('S-061 one code, 100 parallel redemptions: exactly one 200, the others invalid_grant', async () => {
  const got = await obtainCode(server, 'shop', { scope: 'openid orders:read' })
  const answers = await Promise.all(Array.from({ length: 100 }, () => redeem(server, shop(), got)))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ status, body }) => status === 400 && body.error === 'invalid_grant')).toHaveLength(99)
})

it.each([
  ['JWT', 'openid orders:read'],
  ['opaque', 'openid things:read'],
])('S-062 a code used again ends everything that came from it (%s)', async (_form, scope) => {
  const got = await obtainCode(server, 'shop', { scope })
  const first = await redeem(server, shop(), got)
  expect(await introspect(server, api(), first.body.access_token)).toMatchObject({ active: true })
  const again = await redeem(server, shop(), got)
  expect([again.status, again.body.error]).toEqual([400, 'invalid_grant'])
  expect(await introspect(server, api(), first.body.access_token)).toEqual({ active: false })
  expect((await refresh(server, shop(), first.body.refresh_token)).body.error).toBe('invalid_grant')
})

it('S-063 a code is bound to client, redirect_uri and verifier', async () => {
  const other = { id: 'shop-two', secret: await server.addClient({ id: 'shop-two' }) }
  const got = await obtainCode(server, 'shop')
  expect((await redeem(server, other, got)).body.error).toBe('invalid_grant')
  expect((await redeem(server, shop(), got, { redirect_uri: 'http://localhost:9/other' })).body.error).toBe(
    'invalid_grant',
  )
  expect((await redeem(server, shop(), { ...got, verifier: 'x'.repeat(43) })).body.error).toBe('invalid_grant')
  expect((await redeem(server, shop(), got)).status).toBe(200)
})

it("S-064 another client's attempt does not burn the code", async () => {
  const got = await obtainCode(server, 'shop')
  const wrong = await redeem(server, { id: 'spa' }, got)
  expect([wrong.status, wrong.body.error]).toEqual([400, 'invalid_grant'])
  expect((await redeem(server, shop(), got)).status).toBe(200)
})

it('S-065 the token endpoint takes POST only, and no credentials in the query', async () => {
  expect((await fetch(`${server.issuer}/token?grant_type=client_credentials`)).status).toBe(405)
  const answer = await fetch(`${server.issuer}/token?client_id=billing&client_secret=${cast.billing}`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  expect(answer.status).toBe(400)
})

it('a refresh token of a confidential client stays; the access token is new', async () => {
  const tokens = await obtainTokens(server, shop(), { scope: 'openid things:read', resource: THINGS })
  const next = await refresh(server, shop(), tokens.body.refresh_token)
  expect(next.body.refresh_token).toBe(tokens.body.refresh_token)
  expect(next.body.access_token).not.toBe(tokens.body.access_token)
})

it('revocation: an access token ends itself, a refresh token its family (RFC 7009)', async () => {
  const tokens = await obtainTokens(server, shop(), { scope: 'openid things:read' })
  const next = await refresh(server, shop(), tokens.body.refresh_token)
  await post(server, '/revoke', { token: tokens.body.access_token }, shop())
  expect(await introspect(server, api(), tokens.body.access_token)).toEqual({ active: false })
  expect(await introspect(server, api(), next.body.access_token)).toMatchObject({ active: true })
  await post(server, '/revoke', { token: tokens.body.refresh_token }, shop())
  expect(await introspect(server, api(), next.body.access_token)).toEqual({ active: false })
  expect((await refresh(server, shop(), tokens.body.refresh_token)).body.error).toBe('invalid_grant')
})
