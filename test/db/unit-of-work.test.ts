// The unit of work: one transaction from the first write on, committed or rolled back as a whole.
import { sql } from 'kysely'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createUnitOfWork, type UnitOfWork } from '../../src/db/unit-of-work.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let database: TestDatabase
let connected: Connected
let unit: UnitOfWork
let row = 0

beforeAll(async () => {
  database = await createTestDatabase()
  connected = connect(database.connection, { max: 3 })
  unit = createUnitOfWork(connected.db)
})
afterAll(async () => {
  await connected.close()
  await database.drop()
})

const add = async (key = Buffer.from(`row ${++row}`)) => {
  const db = await unit.write()
  await db.insertInto('replays').values({ key_hash: key, expires_at: new Date() }).execute()
  return key
}
const there = async (key: Buffer, read = () => unit.read()) => {
  const db = await read()
  return (
    (await db.selectFrom('replays').select('key_hash').where('key_hash', '=', key).executeTakeFirst()) !== undefined
  )
}
const outside = async () => connected.db

it('a unit sees its own writes; others see them after the commit', async () => {
  let key = Buffer.alloc(0)
  await unit.run(async () => {
    key = await add()
    expect(await there(key)).toBe(true)
    expect(await there(key, outside)).toBe(false)
  })
  expect(await there(key)).toBe(true)
})

it('a throw and a verdict roll back; nothing of the unit is left', async () => {
  const keys: Buffer[] = []
  const failing = unit.run(async () => {
    keys.push(await add(), await add())
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  await unit.run(
    async () => keys.push(await add()),
    () => 'roll back',
  )
  expect(await Promise.all(keys.map((key) => there(key)))).toEqual([false, false, false])
})

it('a refusal commits; but not what holds only if granted, and then what was kept before that', async () => {
  const [kept, undone, first, second] = ['kept', 'undone', 'first', 'second'].map((text) => Buffer.from(text))
  const refuse = () => 'refuse' as const
  await unit.run(() => add(kept), refuse)
  await unit.run(async () => {
    for (const key of [first, second]) {
      await add(key)
      unit.keep()
    }
    const both = [add(undone), add()]
    unit.onlyIfGranted()
    unit.onCommit(() => {
      throw new Error('committed')
    })
    await Promise.all(both)
  }, refuse)
  expect(await Promise.all([kept, undone, first, second].map((key) => there(key!)))).toEqual([true, false, true, true])
  expect(await there(Buffer.from(`row ${row}`))).toBe(false)
})

it('what is kept is kept by whatever end but a failure, and alone in its unit, too', async () => {
  const ends = (['commit', 'refuse', 'roll back'] as const).map(async (verdict) => {
    const key = Buffer.from(`kept at ${verdict}`)
    await unit.run(
      async () => {
        await add(key)
        unit.keep()
        unit.abandon()
      },
      () => verdict,
    )
    return there(key)
  })
  expect(await Promise.all(ends)).toEqual([true, true, false])
})

it('nothing is kept once something was used up: it would be kept with it', async () => {
  const key = Buffer.from('used up')
  const late = unit.run(async () => {
    await add(key)
    unit.onlyIfGranted()
    unit.keep()
  })
  await expect(late).rejects.toThrow(/before anything is used up/)
  expect(await there(key)).toBe(false)
})

it('a refusal keeps what it kept also when a statement after it has failed', async () => {
  const [key, undone] = [Buffer.from('kept before a failure'), Buffer.from('undone by a failure')]
  await unit.run(
    async () => {
      await add(key)
      unit.keep()
      await add(undone)
      unit.onlyIfGranted()
      await sql`select 1 / 0`.execute(await unit.write()).catch(() => undefined)
    },
    () => 'refuse',
  )
  expect(await Promise.all([key, undone].map((one) => there(one)))).toEqual([true, false])
})

it('a unit inside a unit is the same unit', async () => {
  let key = Buffer.alloc(0)
  const failing = unit.run(async () => {
    await unit.run(async () => {
      key = await add()
    })
    throw new Error('outer')
  })
  await expect(failing).rejects.toThrow('outer')
  expect(await there(key)).toBe(false)
})

it('what is late writes nothing: not by itself either, when the unit that it was part of has ended', async () => {
  const [key, other] = [Buffer.from('late'), Buffer.from('later')]
  let late: Promise<unknown> | undefined
  const failing = unit.run(async () => {
    late = new Promise((resolve) => setTimeout(resolve, 50)).then(() =>
      Promise.allSettled([add(key), unit.run(() => add(other))]),
    )
    await Promise.all([late, Promise.reject(new Error('the other one'))])
  })
  await expect(failing).rejects.toThrow('the other one')
  expect(await late).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
  expect([await there(key), await there(other)]).toEqual([false, false])
})

it('a unit that only reads opens no transaction', async () => {
  const before = await transactions()
  await unit.run(async () => {
    await there(Buffer.from('nothing'))
    expect(await transactions()).toBe(before)
  })
})

it('a unit that writes never waits for a second connection: as many units as connections, all reading in between', async () => {
  const units = Array.from({ length: 3 }, () =>
    unit.run(async () => {
      const key = await add()
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(await there(key)).toBe(true)
      await add()
    }),
  )
  await Promise.all(units)
})

it('a commit that fails is thrown, and its connection comes back', async () => {
  await connected.pool.query(`create table deferred (id int primary key deferrable initially deferred)`)
  for (let time = 0; time < 5; time++) {
    const failing = unit.run(async () => {
      const db = await unit.write()
      await db
        .insertInto('deferred' as never)
        .values([{ id: 1 }, { id: 1 }] as never)
        .execute()
    })
    await expect(failing).rejects.toMatchObject({ code: '40000', cause: { code: '23505' } })
  }
  expect(connected.pool.totalCount - connected.pool.idleCount).toBe(0)
})

async function transactions(): Promise<number> {
  const answer = await connected.pool.query(
    `select count(*)::int as open from pg_stat_activity where state = 'idle in transaction' and datname = current_database()`,
  )
  return answer.rows[0].open
}

it('what fails after a failure in the same transaction is told by the first one, which somebody may have passed over', async () => {
  const failing = unit.run(async () => {
    const write = await unit.write()
    await sql`select 1 / 0`.execute(write).catch(() => undefined)
    await sql`select 1`.execute(write)
  })
  await expect(failing).rejects.toMatchObject({ code: '22012' })
})
