// The keys in memory are those of the database, whether changes are heard of or not.
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { type HeldKeys, holdKeys } from '../../src/signing-keys/held.ts'
import { makeSigningKey } from '../../src/signing-keys/make.ts'
import { createSigningKeyStore, type SigningKeyStore } from '../../src/signing-keys/store.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { until } from '../helpers/until.ts'

let database: TestDatabase
let store: SigningKeyStore
let held: HeldKeys
let version: string | undefined
let notify: () => void
let reads: number
let meanwhile: (() => Promise<void>) | undefined
let close: () => Promise<void>
const reported: unknown[] = []

const kids = () => held.held().map(({ kid }) => kid)
async function insert(): Promise<string> {
  const key = await makeSigningKey('ES256', new Date())
  await store.insert(key, 'next', new Date())
  return key.kid
}

beforeEach(async () => {
  database = await createTestDatabase()
  const connected = connect(database.connection)
  close = connected.close
  store = createSigningKeyStore({ unit: createUnitOfWork(connected.db), ring: createKeyRing(makeRingKeys()) })
  version = '1'
  reads = 0
  meanwhile = undefined
  await insert()
  const counted = {
    fingerprint: () => {
      reads++
      return store.fingerprint()
    },
    async list() {
      reads++
      const list = await store.list()
      const work = meanwhile
      meanwhile = undefined
      await work?.()
      return list
    },
  }
  const onChange = (listener: () => Promise<void>) => {
    notify = listener
  }
  held = await holdKeys({ store: counted, version: () => version, onChange }, (error) => reported.push(error))
})
afterEach(async () => {
  await close()
  await database.drop()
  expect(reported).toEqual([])
})

it('costs nothing while the version stays the same', async () => {
  const before = reads
  for (let use = 0; use < 5; use++) await held.refresh()
  expect(reads).toBe(before)
})

it('a notice brings the new keys without a request, and tells who works with them', async () => {
  const swaps: number[] = []
  held.onSwap(() => swaps.push(held.held().length))
  const kid = await insert()
  version = '2'
  notify()
  await until(() => swaps.length > 0)
  expect([kids().includes(kid), swaps]).toEqual([true, [2]])
  // Another version of the same keys is no reason to build an engine.
  version = '3'
  await held.refresh()
  expect(swaps).toEqual([2])
})

it('S-023 while nobody vouches for changes each use looks, and reads only what has changed', async () => {
  version = undefined
  const kid = await insert()
  await held.refresh()
  expect(kids()).toContain(kid)
  await store.remove(kid, new Date())
  await held.refresh()
  expect(kids()).not.toContain(kid)
  const before = reads
  await held.refresh()
  expect(reads).toBe(before + 1)
})

it('S-023 a use that joins a reading from before the change waits for one from after it', async () => {
  version = '2'
  let kid = ''
  let second: Promise<void> | undefined
  meanwhile = async () => {
    kid = await insert()
    version = '3'
    second = held.refresh()
  }
  await held.refresh()
  await second
  expect(kids()).toContain(kid)
})

it('what could not be taken over is tried again at the next use', async () => {
  let broken = true
  held.onSwap(() => {
    if (broken) throw new Error('no engine')
  })
  const kid = await insert()
  version = '2'
  await expect(held.refresh()).rejects.toThrow('no engine')
  expect(kids()).not.toContain(kid)
  broken = false
  await held.refresh()
  expect(kids()).toContain(kid)
})
