// A client whose keys are at an address: the server goes there, but to this machine and its neighbours only in tests.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { post } from '../helpers/flow.ts'
import { addCast, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'
import { createSigner } from '../helpers/signer.ts'

let keys: { server: Server; url: string; asked: number; body: string }
const servers: TestServer[] = []

beforeAll(async () => {
  const state = { asked: 0, body: '' }
  const server = createServer((_request, response) => {
    keys.asked += 1
    response.setHeader('content-type', 'application/jwk-set+json').end(keys.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  keys = Object.assign(state, { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks` })
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  keys.server.close()
})

async function claim(env: Record<string, string>) {
  const server = await startTestServer({ env })
  servers.push(server)
  await addCast(server)
  const signer = await createSigner(server.issuer, 'signer')
  keys.body = JSON.stringify(signer.jwks)
  await server.addClient({
    id: 'signer',
    kind: 'agent',
    authMethod: 'private_key_jwt',
    jwksUri: keys.url,
    refresh: 'offline',
  })
  return post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS, ...(await signer.assert()) })
}

it('a private address is never asked', async () => {
  const answer = await claim({})
  expect([answer.status, answer.body.error, keys.asked]).toEqual([401, 'invalid_client', 0])
})

it('with GATEHOUSE_PROFILE=test it is', async () => {
  const answer = await claim({ GATEHOUSE_PROFILE: 'test' })
  expect([answer.status, keys.asked]).toEqual([200, 1])
})
