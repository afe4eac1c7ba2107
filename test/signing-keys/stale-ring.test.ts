// A process to which nobody comes, and which hears of no change, may still make a signing key: sealed under the ring of that moment.
import { openDatabase } from '../../src/open-database.ts'
import { buildRooms, type Rooms } from '../../src/wire.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

let server: TestServer
let deaf: Rooms
let close: () => Promise<void>

beforeAll(async () => {
  server = await startTestServer()
  await server.rooms.signingKeys.rotation.step()
  const { config, log } = server.rooms
  const opened = await openDatabase(config, { role: 'server', say: () => undefined })
  close = opened.close
  deaf = await buildRooms({ config, db: opened.db, log })
}, 60_000)
afterAll(async () => {
  await close?.()
  await server?.stop()
})

it('S-026 a key made by a process that has missed a change of the ring, and the end of the old one, opens', async () => {
  await server.rooms.rekey.addVersion('operator')
  expect((await server.rooms.rekey.dropOld('operator', true)).dropped).toEqual([1])
  await server.database.pool().query("delete from signing_keys where state = 'next' and alg = 'ES256'")
  expect(deaf.ring.version).toBe(1)
  const steps = await deaf.signingKeys.rotation.step()
  expect(steps).toEqual([{ step: 'published', alg: 'ES256', kid: expect.any(String) }])
  // The server hears of it at once, and within a second in any case.
  const { held, refresh } = server.rooms.signingKeys
  await until(
    async () => {
      await refresh()
      return held().some(({ kid }) => kid === steps[0]!.kid)
    },
    { within: 1000 },
  )
})
