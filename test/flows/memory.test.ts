// What the hot path keeps in memory: client credentials to a JWT cost the database nothing, and a change is seen at once where
// it was made.
import { post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'
import { inOneVersion, statementsOf } from '../helpers/statements.ts'
import { until } from '../helpers/until.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())

const token = (secret = cast.billing, id = 'billing') =>
  post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, { id, secret })

async function settled(): Promise<void> {
  const { live } = server.rooms
  await until(() => live!.version('clients') && live!.version('resources'))
}

it('client credentials to a JWT touch the database zero times', async () => {
  await settled()
  const first = await statementsOf(token)
  expect(first.some((text) => text.includes('"clients"'))).toBe(true) // or nothing is counted here
  const seen = await inOneVersion(server.rooms.live!, async () => {
    const statuses = new Set([(await token()).status])
    const statements = await statementsOf(async () => {
      for (let n = 0; n < 30; n += 1) statuses.add((await token()).status)
    })
    return { statuses, statements }
  })
  expect(seen).toEqual({ statuses: new Set([200]), statements: [] })
})

it('a wrong secret and an unknown client cost nothing either', async () => {
  const both = async () => [(await token('wrong')).status, (await token('wrong', 'nobody')).status]
  const statements = await inOneVersion(server.rooms.live!, async () => {
    await both()
    return statementsOf(async () => expect(await both()).toEqual([401, 401]))
  })
  expect(statements).toEqual([])
})

it('what was changed here is seen by the next request', async () => {
  for (let round = 0; round < 20; round += 1) {
    expect((await token()).status).toBe(200)
    await server.rooms.clients.disable('billing', 'operator')
    expect((await token()).status).toBe(401)
    await server.rooms.clients.enable('billing', 'operator')
    expect((await token()).status).toBe(200)
    await server.rooms.resources.change(
      { ...(await server.rooms.resources.find(ORDERS))!, lifetime: 300 + round },
      'operator',
    )
    expect((await token()).body.expires_in).toBe(300 + round)
  }
})

it('a unit of work that was rolled back leaves nothing in memory', async () => {
  const { unit, clients, atHand } = server.rooms
  const fields = (await clients.find('billing'))!
  await unit.run(
    async () => {
      await clients.change({ ...fields, name: 'Never' }, 'operator')
      expect((await atHand.findClient('billing'))?.name).toBe('Never')
    },
    () => 'roll back',
  )
  expect((await atHand.findClient('billing'))?.name).toBe('billing')
})

it('the engine does not validate a client anew because there are hundreds', async () => {
  const scopes = { [ORDERS]: ['orders:read'] }
  for (let n = 0; n < 250; n += 1)
    await server.addClient({ id: `one-of-many-${n}`, kind: 'service', redirectUris: [], refresh: 'none', scopes })
  const { Client } = server.engine.provider()
  const first = await Client.find('one-of-many-0')
  for (let n = 0; n < 250; n += 1) await Client.find(`one-of-many-${n}`)
  expect(await Client.find('one-of-many-0')).toBe(first)
})
