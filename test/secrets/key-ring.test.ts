// The key ring: made once, opened by the right secret only, never replaced.
import { type Connected, connect } from '../../src/db/connect.ts'
import { createKeyRing, makeRingKeys, unwrapRing, wrapRing } from '../../src/secrets/key-ring.ts'
import { openKeyRing } from '../../src/secrets/open-ring.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

const OLD = 'the old secret, which is long enough'
const NEW = 'the new secret, which is long enough'
const now = () => new Date()

describe('hashes and seals', () => {
  const ring = createKeyRing(makeRingKeys())

  it('hashes depend on ring, purpose and value', () => {
    const hash = ring.keyedHash('a', 'value')
    expect(hash).toHaveLength(32)
    expect(ring.handle('a', 'value')).toEqual(hash.subarray(0, 16))
    expect(ring.keyedHash('a', 'value')).toEqual(hash)
    expect(ring.keyedHash('b', 'value')).not.toEqual(hash)
    expect(ring.keyedHash('a', 'other')).not.toEqual(hash)
    expect(createKeyRing(makeRingKeys()).keyedHash('a', 'value')).not.toEqual(hash)
  })

  it('what is sealed opens for its purpose only, and not when a bit was changed', () => {
    const sealed = ring.seal('key 1', Buffer.from('private'))
    expect(ring.open('key 1', sealed).toString()).toBe('private')
    expect(sealed.includes('private')).toBe(false)
    expect(() => ring.open('key 2', sealed)).toThrow()
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at] = changed[at]! ^ 1
      expect(() => ring.open('key 1', changed)).toThrow()
    }
    expect(() => createKeyRing(makeRingKeys()).open('key 1', sealed)).toThrow()
  })

  it('a wrapped ring opens with its secret only', () => {
    const keys = makeRingKeys()
    const wrapped = wrapRing(keys, OLD)
    expect(unwrapRing(wrapped, OLD)).toEqual(keys)
    expect(unwrapRing(wrapped, NEW)).toBeUndefined()
    expect(wrapRing(keys, OLD)).not.toEqual(wrapped)
  })
})

describe('in a database', () => {
  let database: TestDatabase
  let connected: Connected
  beforeEach(async () => {
    database = await createTestDatabase()
    connected = connect(database.connection)
  })
  afterEach(async () => {
    await connected.close()
    await database.drop()
  })
  const open = (...secrets: string[]) =>
    openKeyRing({ db: connected.db, secrets: () => secrets, makeSecret: () => OLD, now })
  const row = async () => (await connected.pool.query('select wrapped from key_ring')).rows[0]?.wrapped as Buffer

  it('several nodes that start together share one ring', async () => {
    const rings = await Promise.all(Array.from({ length: 5 }, () => open(OLD)))
    const hashes = rings.map((ring) => ring.keyedHash('x', 'y').toString('hex'))
    expect(new Set(hashes).size).toBe(1)
  })

  it('a wrong secret is refused and changes nothing', async () => {
    const before = (await open(OLD)).keyedHash('x', 'y')
    const wrapped = await row()
    await expect(open(NEW)).rejects.toMatchObject({
      name: 'OperatorFault',
      message: expect.stringContaining('GATEHOUSE_SECRET'),
    })
    expect(await row()).toEqual(wrapped)
    expect((await open(OLD)).keyedHash('x', 'y')).toEqual(before)
  })

  it('a list of secrets re-wraps under the first; then the old one is no longer needed', async () => {
    const before = (await open(OLD)).keyedHash('x', 'y')
    expect((await open(NEW, OLD)).keyedHash('x', 'y')).toEqual(before)
    expect((await open(NEW)).keyedHash('x', 'y')).toEqual(before)
    await expect(open(OLD)).rejects.toThrow()
  })

  it('never makes a new ring over a database that is in use', async () => {
    await open(OLD)
    await connected.pool.query(`insert into signing_keys values ('k', 'ES256', 'active', '{}', '\\x00', now())`)
    await connected.pool.query('delete from key_ring')
    await expect(open(OLD)).rejects.toMatchObject({ name: 'OperatorFault', advice: expect.stringContaining('backup') })
    expect(await row()).toBeUndefined()
  })
})
