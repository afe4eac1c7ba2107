// What the engine stores is moved between its clock and that of the database.
import { createEngineTime } from '../../src/provider/engine-time.ts'

let now = 0
let machine = 0
const create = () => createEngineTime({ now: () => new Date(now * 1000), machine: () => new Date(machine * 1000) })
const code = { iat: 1000, exp: 1060, authTime: 900, scope: 'openid', grantId: 'g' }

beforeEach(() => {
  now = 1000
  machine = 1000
})

it('leaves times alone while the clocks agree', () => {
  const { toStore, toEngine } = create()
  for (const difference of [0, 0.4, -0.9]) {
    now = 1000 + difference
    expect(toStore(code)).toEqual(code)
    expect(toEngine(code)).toEqual(code)
  }
})

it('R-37 what a node with a wrong clock stores ends everywhere at the same moment', () => {
  for (const ahead of [5, -5, 60, -60, 3600, -600]) {
    machine = 1000 + ahead
    const wrong = create()
    const stored = wrong.toStore({ ...code, iat: machine, exp: machine + 60 })
    expect(stored).toMatchObject({ iat: 1000, exp: 1060, scope: 'openid' })
    expect(wrong.toEngine(stored)).toMatchObject({ iat: machine, exp: machine + 60 })
    machine = 1000
    expect(create().toEngine(stored)).toMatchObject({ iat: 1000, exp: 1060 })
  }
})

it('R-37 a clock that is set in between does not change what is left', () => {
  const { toStore, toEngine } = create()
  const stored = toStore(code)
  now += 10
  machine += 10 - 600
  expect(toEngine(stored).exp - machine).toBe(50)
  machine += 4200
  expect(toEngine(stored).exp - machine).toBe(50)
})

it('moves the moment of a sign-in, in a session and on its way there', () => {
  machine = 1300
  const { toStore, toEngine } = create()
  expect(toStore({ loginTs: 1290 })).toEqual({ loginTs: 990 })
  const interaction = { exp: 2000, result: { login: { accountId: 'ada', ts: 1290 }, other: 1 } }
  const stored = toStore(interaction)
  expect(stored).toEqual({ exp: 1700, result: { login: { accountId: 'ada', ts: 990 }, other: 1 } })
  expect(toEngine(stored)).toEqual(interaction)
  expect(interaction.result.login.ts).toBe(1290)
})

it('what is stored again and again does not wander while the clocks differ by half a second', () => {
  const { toStore, toEngine } = create()
  let session = { loginTs: 990 }
  for (let turn = 0; turn < 100; turn++) {
    now = machine + 0.3 + (turn % 5) / 10
    session = toEngine(toStore(session))
  }
  expect(session.loginTs).toBe(990)
})
