// The time that nodes share: that of the database, as exactly as its answers allow.

import { createDatabaseClock } from '../../src/db/clock.ts'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let steady = 0
let machine = 0
const create = () => createDatabaseClock({ clock: () => steady, machine: () => new Date(machine) })
beforeEach(() => {
  steady = 1000
  machine = 500_000
})

it('is that of this machine until the database has answered', () => {
  const { now, ahead } = create()
  expect([now().getTime(), ahead()]).toEqual([500_000, 0])
})

it('R-37 goes on with the clock that nobody sets, whatever is done to that of the machine', () => {
  const { now, heard, ahead } = create()
  heard(600_000, 1000, 1000)
  steady += 5000
  machine -= 600_000
  expect(now().getTime()).toBe(605_000)
  expect(ahead()).toBe(-705)
  machine += 4_000_000
  expect(now().getTime()).toBe(605_000)
})

it('does not tremble with the network', () => {
  const { now, heard } = create()
  heard(600_000, 1000, 1000)
  // Answers that took long, each of which may have been made at any moment of that time.
  for (const [time, since, until] of [
    [600_010, 1000, 1900],
    [600_900, 1000, 1950],
  ] as const) {
    heard(time, since, until)
    steady = 2000
    expect(now().getTime()).toBe(601_000)
  }
})

it('R-37 follows when the clock of the database is set', () => {
  const { now, heard } = create()
  heard(600_000, 1000, 1000)
  for (const jump of [-600_000, 3_600_000]) {
    heard(600_000 + jump, 990, 1010)
    expect(Math.abs(now().getTime() - 600_000 - jump)).toBeLessThanOrEqual(10)
  }
})

describe('over PostgreSQL', () => {
  let database: TestDatabase
  let connected: Connected
  beforeAll(async () => {
    database = await createTestDatabase()
    connected = connect(database.connection)
  })
  afterAll(async () => {
    await connected.close()
    await database.drop()
  })

  it('R-37 has its time within the time that a question takes', async () => {
    const clock = createDatabaseClock({ clock: () => performance.now(), machine: () => new Date(0) })
    await clock.ask(connected.db)
    expect(Math.abs(clock.now().getTime() - Date.now())).toBeLessThan(500)
  })
})
