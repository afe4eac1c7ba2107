// The key ring: made once, opened by the right secret only, never replaced.
import { createHmac, randomBytes } from 'node:crypto'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { openKeyRing } from '../../src/secrets/open-ring.ts'
import { makeRingKeys, withNextInUse, withNextVersion, withoutVersions } from '../../src/secrets/ring-keys.ts'
import { unwrapRing, wrapRing } from '../../src/secrets/wrap.ts'
import { formatOpaque } from '../../src/vocabulary/opaque.ts'
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

describe('a ring of several versions', () => {
  const at = (text: string) => new Date(text)
  const first = makeRingKeys(at('2030-01-01'))
  const ready = withNextVersion(first, at('2030-02-01'))
  const second = withNextInUse(ready, at('2030-02-02'))
  const [one, both, two] = [createKeyRing(first), createKeyRing(ready), createKeyRing(second)]
  const id = randomBytes(32).toString('base64url')

  it('what carries a version is hashed under it, whichever makes new values', () => {
    for (const ring of [one, both, two]) expect(ring.handle('x', id)).toEqual(one.handle('x', id))
    expect([one.mark(id), both.mark(id), two.mark(id)]).toEqual([id, id, `2.${id}`])
    expect(both.handle('x', `2.${id}`)).toEqual(two.handle('x', `2.${id}`))
    expect(two.handle('x', `2.${id}`)).not.toEqual(two.handle('x', id))
    const token = formatOpaque('at', Buffer.alloc(32), 2)
    expect(both.handle('x', token)).toEqual(two.handle('x', token))
    expect([one.knows(token), both.knows(token), two.knows(id)]).toEqual([false, true, true])
  })

  it('what carries none is looked for under every version, that of new values first', () => {
    expect([...both.hashes('x', 'y').keys()]).toEqual([1, 2])
    expect([...two.hashes('x', 'y').keys()]).toEqual([2, 1])
    expect(two.newHash('x', 'y')).toEqual(both.hashes('x', 'y').get(2))
    expect(both.newHash('x', 'y')).toEqual(both.hashes('x', 'y').get(1))
    expect(two.handles('x', 'y')).toEqual([...both.handles('x', 'y')].reverse())
    expect(one.handles('x', 'y')).toEqual([both.handles('x', 'y')[0]])
  })

  it('what is sealed opens under every version, and is sealed again once', () => {
    const [old, young] = [one.seal('p', Buffer.from('plain')), two.seal('p', Buffer.from('plain'))]
    for (const ring of [both, two]) {
      expect([ring.open('p', old).toString(), ring.open('p', young).toString()]).toEqual(['plain', 'plain'])
      expect(() => ring.open('q', old)).toThrow()
    }
    expect(() => one.open('p', young)).toThrow()
    expect([both.reseal('p', old), two.reseal('p', young)]).toEqual([undefined, undefined])
    const again = two.reseal('p', old)!
    expect(
      createKeyRing(withoutVersions(second, [1]))
        .open('p', again)
        .toString(),
    ).toBe('plain')
  })

  it('a version that lies ready is not made twice, and only older ones can be dropped', () => {
    expect(withNextVersion(ready, at('2030-03-01'))).toBe(ready)
    expect(withoutVersions(ready, [1, 2])).toEqual(ready)
    expect(withoutVersions(second, [1, 2]).versions.map((version) => version.id)).toEqual([2])
    expect(() => withNextInUse(first, at('2030-03-01'))).toThrow()
    expect(second.versions.map(({ usedFrom }) => usedFrom?.slice(0, 10))).toEqual(['2030-01-01', '2030-02-02'])
  })

  it('what belongs to a version that is not there is asked about, and then found by nobody', () => {
    const ring = createKeyRing(first)
    let asked = 0
    ring.onMissed(() => {
      asked += 1
    })
    const hash = ring.handle('x', `2.${id}`)
    expect(two.handles('x', `2.${id}`).slice(0, 1)).not.toContainEqual(hash)
    expect(() => ring.open('p', two.seal('p', Buffer.from('plain')))).toThrow()
    expect(asked).toBe(2)
    ring.take(second)
    expect(ring.handle('x', `2.${id}`)).toEqual(two.handle('x', `2.${id}`))
    expect([ring.version, ring.cookieKeys(), asked]).toEqual([2, two.cookieKeys(), 2])
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
    openKeyRing({ db: connected.db, secrets: () => secrets, makeSecret: () => OLD, now }).then(({ keys }) =>
      createKeyRing(keys),
    )
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

  it('of a list of secrets any opens, and opening changes nothing: a server with the old one alone starts again', async () => {
    const before = (await open(OLD)).keyedHash('x', 'y')
    const wrapped = await row()
    expect((await open(NEW, OLD)).keyedHash('x', 'y')).toEqual(before)
    expect((await open(OLD, NEW)).keyedHash('x', 'y')).toEqual(before)
    expect(await row()).toEqual(wrapped)
    expect((await open(OLD)).keyedHash('x', 'y')).toEqual(before)
  })

  it('a ring from before there were versions is read as its first', async () => {
    await open(OLD)
    const key = () => randomBytes(32).toString('base64url')
    const old = { version: 1, pepper: key(), atRest: key(), cookies: [key()] }
    const wrapped = wrapRing(old as never, OLD)
    await connected.pool.query('update key_ring set wrapped = $1', [wrapped])
    const ring = await open(OLD)
    const hmac = createHmac('sha256', Buffer.from(old.pepper, 'base64url'))
    expect(ring.keyedHash('x', 'y')).toEqual(hmac.update('x\0y').digest())
    expect(ring.cookieKeys()).toEqual(old.cookies)
    expect([ring.version, ring.mark('z')]).toEqual([1, 'z'])
  })

  it('never makes a new ring over a database that is in use', async () => {
    await open(OLD)
    await connected.pool.query(`insert into signing_keys values ('k', 'ES256', 'active', '{}', '\\x00', now())`)
    await connected.pool.query('delete from key_ring')
    await expect(open(OLD)).rejects.toMatchObject({ name: 'OperatorFault', advice: expect.stringContaining('backup') })
    expect(await row()).toBeUndefined()
  })
})
