// Sessions as rows: what two tabs write at once is kept, and what was ended stays so, whatever is still on its way.
import { sql } from 'kysely'
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork, type UnitOfWork } from '../../src/db/unit-of-work.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { createInteractions, type Interactions } from '../../src/sessions/interactions.ts'
import { createSessions, type SessionPayload, type Sessions } from '../../src/sessions/sessions.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

const HOUR = 3_600_000
let database: TestDatabase
let close: () => Promise<void>
let unit: UnitOfWork
let sessions: Sessions
let interactions: Interactions
/** another process */
let elsewhere: { unit: UnitOfWork; sessions: Sessions }
let time = Date.now()
const later = () => new Date(time + HOUR)
let count = 0

beforeAll(async () => {
  database = await createTestDatabase()
  const connected = connect(database.connection)
  close = connected.close
  unit = createUnitOfWork(connected.db)
  const parts = { unit, ring: createKeyRing(makeRingKeys()), now: () => new Date(time) }
  await connected.pool.query(`insert into accounts (id, email, email_key, created_at, updated_at)
    select 'usr_' || name, name, name, now(), now() from unnest(array['ada', 'bob', 'eve']) as name`)
  sessions = createSessions(parts)
  interactions = createInteractions(parts)
  const other = createUnitOfWork(connected.db)
  elsewhere = { unit: other, sessions: createSessions({ ...parts, unit: other }) }
})
afterAll(async () => {
  await close()
  await database.drop()
})

/** A signed-in session in the store. @returns its cookie value and what was saved */
async function begin(accountId = 'usr_ada', authorizations: object = {}): Promise<{ id: string; is: SessionPayload }> {
  count += 1
  const is = { uid: `uid-${count}`, accountId, loginTs: 1, authorizations }
  const id = `value-${count}`
  expect(await sessions.save(id, is, later())).toBe(true)
  return { id, is }
}

/** A request that reads a session, and saves it with one more client when `others` says that they have read it, too. */
function authorize(id: string, client: string, others: () => Promise<unknown>): Promise<boolean> {
  return unit.run(async () => {
    const read = (await sessions.find(id))!
    await others()
    const authorizations = { ...(read.authorizations as object), [client]: { sid: `sid of ${client}` } }
    return sessions.save(id, { ...read, authorizations }, later())
  })
}

/** @returns what resolves once so many have called it */
function meeting(many: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let come = 0
  return () => {
    come += 1
    if (come === many) resolve()
    return promise
  }
}

it('two apps authorized at once in one browser: neither is lost, 20 pairs', async () => {
  for (let pair = 0; pair < 20; pair++) {
    const { id, is } = await begin()
    const bothRead = meeting(2)
    await Promise.all([authorize(id, 'shop', bothRead), authorize(id, 'blog', bothRead)])
    const both = { shop: { sid: 'sid of shop' }, blog: { sid: 'sid of blog' } }
    expect(await sessions.find(id)).toEqual({ ...is, authorizations: both })
    expect(await sessions.findByUid(is.uid)).toEqual({ ...is, authorizations: both })
  }
})

it('a login in each of two tabs leaves two values of one session: each knows the apps of both', async () => {
  const { id, is } = await begin('usr_ada', { shop: { sid: '1', grantId: 'g1' }, blog: { sid: '2' } })
  const other = { shop: { sid: '1' }, blog: { sid: '2', grantId: 'g2' } }
  await sessions.save('second value', { ...is, authorizations: other }, later())
  const both = { shop: { sid: '1', grantId: 'g1' }, blog: { sid: '2', grantId: 'g2' } }
  expect((await sessions.find(id))?.authorizations).toEqual(both)
  expect((await sessions.find('second value'))?.authorizations).toEqual(both)
  expect((await sessions.findByUid(is.uid))?.authorizations).toEqual(both)
})

it('what a tab knows of an app that was being asked about does not undo what another tab has got', async () => {
  const { id, is } = await begin('usr_ada', { shop: { sid: '1', grantId: 'g1' } })
  await sessions.save(id, { ...is, authorizations: { shop: { sid: '1' }, blog: {} } }, later())
  expect((await sessions.find(id))?.authorizations).toEqual({ shop: { sid: '1', grantId: 'g1' }, blog: {} })
})

it('another person in the same browser inherits nothing', async () => {
  const { id, is } = await begin('usr_ada', { shop: { sid: '1' } })
  await sessions.save(id, { ...is, accountId: 'usr_bob', authorizations: {} }, later())
  expect(await sessions.find(id)).toMatchObject({ accountId: 'usr_bob', authorizations: {} })
  const other = await begin('usr_ada', { shop: { sid: '1' } })
  await sessions.save('value of bob', { uid: other.is.uid, accountId: 'usr_bob' }, later())
  expect((await sessions.find('value of bob'))?.authorizations).toEqual({})
})

it('S-179 a login replaces the value: the old one is nobody', async () => {
  const { id, is } = await begin()
  await unit.run(async () => {
    await sessions.destroy(id)
    await sessions.save('new value', is, later())
  })
  expect(await sessions.find(id)).toBeUndefined()
  expect(await sessions.find('new value')).toMatchObject({ accountId: 'usr_ada' })
})

it('S-183 an ended session ends under all its values, and a request that comes late does not bring it back', async () => {
  const { id, is } = await begin()
  await sessions.save('a second', is, later())
  const other = await begin()
  await sessions.endByUid(is.uid)
  for (const value of [id, 'a second']) expect(await sessions.find(value)).toBeUndefined()
  expect(await sessions.findByUid(is.uid)).toBeUndefined()
  expect(await sessions.save(id, is, later())).toBe(false)
  // The same person's session under a new value, as a login in another tab would write it.
  expect(await sessions.save('a third', is, later())).toBe(false)
  for (const value of [id, 'a second', 'a third']) expect(await sessions.find(value)).toBeUndefined()
  expect(await sessions.find(other.id)).toBeDefined()
})

it('S-183 requests on their way while the session ends: it stays ended, 20 times', async () => {
  for (let round = 0; round < 20; round++) {
    const { id, is } = await begin()
    const ways = Array.from({ length: 4 }, (_, way) => authorize(id, `app-${way}`, async () => undefined))
    await Promise.allSettled([...ways, sessions.endByUid(is.uid)])
    expect(await sessions.find(id)).toBeUndefined()
  }
})

it('S-186 all sessions of an account end, and so does a sign-in that has not become one yet', async () => {
  const [one, two, bob] = [await begin('usr_eve'), await begin('usr_eve'), await begin('usr_bob')]
  const login = (accountId: string) => ({ result: { login: { accountId } } })
  await interactions.save('eve signs in', login('usr_eve'), later())
  await interactions.save('bob signs in', login('usr_bob'), later())
  await interactions.save('nobody yet', { params: {} }, later())
  await endAccount('usr_eve')
  for (const { id, is } of [one, two]) {
    expect(await sessions.find(id)).toBeUndefined()
    expect(await sessions.save(id, is, later())).toBe(false)
  }
  expect(await sessions.find(bob.id)).toBeDefined()
  expect(await interactions.find('eve signs in')).toBeUndefined()
  expect(await interactions.find('bob signs in')).toBeDefined()
  expect(await interactions.find('nobody yet')).toBeDefined()
})

/** What `accounts/` does when all that a person has open ends: a new epoch. */
async function endAccount(id: string): Promise<void> {
  const { unit, sessions } = elsewhere
  await unit.run(async () => {
    await sql`update accounts set epoch = nextval('epochs') where id = ${id}`.execute(await unit.write())
    await sessions.endAll(id)
  })
}

it('S-186 requests that read a session before its account ended: none brings it back, whatever it does with it', async () => {
  const ways: [string, (id: string, read: SessionPayload) => Promise<boolean>][] = [
    ['saves what it read', (id, read) => sessions.save(id, read, later())],
    ['saves it with one more app', (id, read) => sessions.save(id, { ...read, authorizations: { shop: {} } }, later())],
    ['saves it under one more value', (id, read) => sessions.save(`${id} in a tab`, read, later())],
    [
      'saves it under another value',
      async (id, read) => {
        await sessions.destroy(id)
        return sessions.save(`${id} replaced`, read, later())
      },
    ],
  ]
  for (const [way, save] of ways) {
    const { id, is } = await begin('usr_eve')
    const saved = await unit.run(async () => {
      const read = (await sessions.find(id))!
      await endAccount('usr_eve')
      return save(id, read)
    })
    expect([way, saved]).toEqual([way, false])
    for (const value of [id, `${id} in a tab`, `${id} replaced`]) expect(await sessions.find(value)).toBeUndefined()
    expect(await sessions.findByUid(is.uid)).toBeUndefined()
  }
  // In the midst of replacing a value, too.
  const { id, is } = await begin('usr_eve')
  await unit.run(async () => {
    await sessions.destroy(id)
    await endAccount('usr_eve')
    await sessions.save(`${id} replaced`, is, later())
  })
  expect(await sessions.findByUid(is.uid)).toBeUndefined()
  // Who signs in anew is signed in.
  const again = await begin('usr_eve')
  expect(await sessions.find(again.id)).toBeDefined()
})

it('S-183 a request that replaces the value while the session ends does not bring it back', async () => {
  const { id, is } = await begin()
  await sessions.endByUid(is.uid)
  await sessions.destroy(id)
  expect(await sessions.save('replaced after the end', is, later())).toBe(false)
  expect(await sessions.findByUid(is.uid)).toBeUndefined()
})

it('S-182 a session is gone at its end, to the second', async () => {
  const { id, is } = await begin()
  time += HOUR - 1
  expect(await sessions.find(id)).toBeDefined()
  time += 1
  expect(await sessions.find(id)).toBeUndefined()
  expect(await sessions.findByUid(is.uid)).toBeUndefined()
})

it('no value is in the table', async () => {
  const { id } = await begin()
  const { rows } = await database.pool().query('select id_hash, uid, payload::text from sessions')
  expect(rows.length).toBeGreaterThan(0)
  expect(rows.some((row) => JSON.stringify({ ...row, raw: row.id_hash.toString('utf8') }).includes(id))).toBe(false)
})

it('what is saved already is not written again: tabs without news neither wait nor open a transaction', async () => {
  const { id } = await begin('usr_ada', { shop: { sid: 's' } })
  const saved = (await sessions.find(id))!
  const holder = await database.pool().connect()
  try {
    await holder.query('begin')
    await holder.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`session ${saved.uid}`])
    const opened = await unit.run(async () => {
      expect(await sessions.save(id, { ...saved, exp: 7, iat: 6 }, new Date(later().getTime() + 59_000))).toBe(true)
      return unit.writing()
    })
    expect(opened).toBe(false)
    const news = [
      sessions.save(id, { ...saved, state: 'new' }, later()),
      sessions.save(id, { ...saved, authorizations: { shop: { sid: 's', grantId: 'g' } } }, later()),
      sessions.save(id, saved, new Date(later().getTime() + 61_000)),
    ].map((saving) => saving.then(() => 'saved'))
    const waiting = new Promise((resolve) => setTimeout(resolve, 300, 'waiting'))
    expect(await Promise.race([...news, waiting])).toBe('waiting')
    await holder.query('commit')
    expect(await Promise.all(news)).toEqual(['saved', 'saved', 'saved'])
  } finally {
    holder.release()
  }
  expect((await sessions.find(id))!.authorizations).toEqual({ shop: { sid: 's', grantId: 'g' } })
})

it('a session that was ended is not taken for saved', async () => {
  const { id, is } = await begin()
  const read = (await sessions.find(id))!
  await sessions.endByUid(is.uid)
  expect(await sessions.save(id, read, later())).toBe(false)
})
