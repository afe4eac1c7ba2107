// Refresh families through time: what an old token does, how long a family lives, and whose it is (SECURITY group F).
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { introspect, obtainTokens, refresh } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

const DAY = 24 * 60 * 60
let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const spa = { id: 'spa' }

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server?.stop())
afterEach(releaseClock)

const sql = async (text: string) => (await server.database.pool().query(text)).rows
const active = async (token: string) =>
  (await introspect(server, { id: 'orders-api', secret: cast.api }, token)).active === true
const invalid = async (answer: Promise<{ status: number; body: { error?: string } }>) => {
  const { status, body } = await answer
  expect([status, body.error]).toEqual([400, 'invalid_grant'])
}

describe('refresh tokens of public clients', () => {
  const begin = async (scope = 'openid orders:read') => (await obtainTokens(server, spa, { scope })).body
  const use = (token: string) => refresh(server, spa, token)

  it.each([
    ['JWTs', 'orders:read'],
    ['opaque access tokens', 'things:read'],
  ])(
    'S-084 one that is used after the window ends the family with its %s, and the audit tells',
    async (_form, scope) => {
      holdClock()
      const first = await begin(`openid ${scope}`)
      const second = (await use(first.refresh_token)).body
      passSeconds(11)
      for (const { access_token } of [first, second]) expect(await active(access_token)).toBe(true)
      const [{ n: before }] = await sql("select count(*)::int as n from audit_entries where kind = 'family.ended'")
      await invalid(use(first.refresh_token))
      await invalid(use(second.refresh_token))
      for (const { access_token } of [first, second]) expect(await active(access_token)).toBe(false)
      const entries = await sql("select detail from audit_entries where kind = 'family.ended' order by id")
      expect(entries.slice(before)).toEqual([{ detail: { reason: 'refresh-reuse' } }])
    },
  )

  it('S-085 within the window a retry gets the same successor; its first use closes the window', async () => {
    holdClock()
    const first = await begin()
    const answers = [await use(first.refresh_token)]
    passSeconds(9)
    answers.push(await use(first.refresh_token))
    const [successor, ...others] = new Set(answers.map(({ body }) => body.refresh_token))
    expect([others, successor === first.refresh_token]).toEqual([[], false])
    const third = (await use(successor!)).body
    await invalid(use(first.refresh_token))
    await invalid(use(third.refresh_token))
  })
})

it.each(['spa', 'confidential'])(
  'S-087 a family ends 90 days after it began, however often it is used: %s',
  async (kind) => {
    holdClock()
    const id = `offline-${kind}`
    const shape = kind === 'spa' ? ({ kind: 'spa', authMethod: 'none' } as const) : {}
    const scopes = (await server.rooms.clients.find('shop'))!.scopes
    const client = { id, secret: (await server.addClient({ id, scopes, refresh: 'offline', ...shape })) || undefined }
    let token = (await obtainTokens(server, client)).body.refresh_token
    for (const days of [29, 29, 29, 2]) {
      passSeconds(days * DAY)
      const answer = await refresh(server, client, token)
      expect([days, answer.status]).toEqual([days, 200])
      token = answer.body.refresh_token
    }
    passSeconds(DAY + 11)
    await invalid(refresh(server, client, token))
  },
)

it('S-088 a refresh token is its client’s alone, and a stranger’s try does not harm it', async () => {
  const scopes = (await server.rooms.clients.find('shop'))!.scopes
  const owner = { id: 'owner', secret: await server.addClient({ id: 'owner', scopes, refresh: 'offline' }) }
  const token = (await obtainTokens(server, owner)).body.refresh_token
  await invalid(refresh(server, { id: 'shop', secret: cast.shop }, token))
  await invalid(refresh(server, spa, token))
  for (const wrong of [{ id: owner.id }, { ...owner, secret: 'wrong' }]) {
    const { status, body } = await refresh(server, wrong, token)
    expect([status, body.error]).toEqual([401, 'invalid_client'])
  }
  expect((await refresh(server, owner, token)).status).toBe(200)
})
