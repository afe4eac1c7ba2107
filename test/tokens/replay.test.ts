// What may be seen once, and two requests that bring it together, of which the first is refused and gives back what it used.
import { sql } from 'kysely'
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createReplays } from '../../src/tokens/replay.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { slowDown } from '../helpers/slow-database.ts'
import { untilBlocked } from '../helpers/until.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

function process(connection: Parameters<typeof connect>[0]) {
  const { db, close } = connect(connection, { max: 3 })
  const unit = createUnitOfWork(db)
  const replays = createReplays({ unit })
  const times = { madeAt: new Date(), expiresAt: new Date(Date.now() + 300_000) }
  return { db, close, unit, bring: (value: string) => replays.firstUse('shop', value, times) }
}

it('S-072 S-119 who brings a value while the first to bring it is being refused is late', async () => {
  // Whatever the first one does after its refusal comes late.
  const slow = await slowDown(database.connection, 50)
  const [first, second] = [process(slow.connection), process(database.connection)]
  try {
    let late: Promise<boolean> | undefined
    const refused = first.unit.run(
      async () => {
        expect([await first.bring('a'), await first.bring('b')]).toEqual([true, true])
        await sql`insert into replays values ('used up', now())`.execute(await first.unit.write())
        first.unit.onlyIfGranted()
        late = second.unit.run(() => second.bring('a'))
        await untilBlocked(database.pool({ max: 1 }), 1)
      },
      () => 'refuse',
    )
    await refused
    expect(await late).toBe(false)
    expect([await second.bring('a'), await second.bring('b'), await second.bring('c')]).toEqual([false, false, true])
    const { rows } = await sql`select from replays where key_hash = 'used up'`.execute(second.db)
    expect(rows).toEqual([])
  } finally {
    await Promise.all([first.close(), second.close()])
    await slow.close()
  }
})

it('what a request brought that failed has not been brought', async () => {
  const { bring, unit, close } = process(database.connection)
  await unit.run(
    () => bring('d'),
    () => 'roll back',
  )
  expect(await bring('d')).toBe(true)
  await close()
})
