// What a start removes: leftovers of tours, and nothing that an operator made.
import { cleanUpTry } from '../../src/tour/clean-up.ts'
import { tryEmail, tryName } from '../../src/tour/parts.ts'
import { tourParts } from '../../src/wire-tour.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server?.stop())

it('clean-up removes what tours named, and leaves what operators named themselves', async () => {
  const parts = tourParts(server.rooms)
  const clients = ['try-out', 'try-m2m', 'try-web-portal', 'try-m2m-12345678-blue', 'retry-m2m-12345678']
  const people = ['try-hard@example.com', 'try-ada@example.com', 'try-ada-12345678@corp.example']
  for (const id of [...clients, tryName('m2m'), tryName('web')]) await server.addClient({ id })
  for (const email of [...people, tryEmail()]) await server.addPerson(email)
  expect(await parts.listClients()).toHaveLength(clients.length + 2)
  for (let start = 0; start < 2; start++) {
    await cleanUpTry(parts)
    expect((await parts.listClients()).map(({ id }) => id).sort()).toEqual([...clients].sort())
    expect((await parts.listUsers('try-')).map(({ email }) => email).sort()).toEqual([...people].sort())
  }
})
