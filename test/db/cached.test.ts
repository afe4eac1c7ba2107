// What is kept in memory, how long, and what is not.
import { setTimeout as sleep } from 'node:timers/promises'
import { cached } from '../../src/db/cached.ts'

let version: string | undefined
let writing: boolean
let loads: string[]
let rows: Record<string, object | undefined>

beforeEach(() => {
  version = 'v1'
  writing = false
  loads = []
  rows = { one: { n: 1 } }
})

const cache = (load = async (key: string) => rows[key]) =>
  cached({ version: () => version, writing: () => writing }, (key: string) => {
    loads.push(key)
    return load(key)
  })

it('asks once per key, also for what is not there, and answers with the same object', async () => {
  const find = cache()
  const first = await find('one')
  expect([await find('one'), await find('none'), await find('none')]).toEqual([first, undefined, undefined])
  expect(await find('one')).toBe(first)
  expect(loads).toEqual(['one', 'none'])
})

it('another version drops everything; none passes everything by', async () => {
  const find = cache()
  await find('one')
  rows.one = { n: 2 }
  version = undefined
  expect(await find('one')).toEqual({ n: 2 })
  rows.one = { n: 3 }
  version = 'v2'
  expect(await find('one')).toEqual({ n: 3 })
  version = 'v1' // whoever comes back to an old number has lost what was counted since
  rows.one = { n: 4 }
  expect(await find('one')).toEqual({ n: 4 })
})

it('a unit of work that has written asks the database, and leaves nothing behind', async () => {
  const find = cache()
  writing = true
  await find('one')
  rows.one = { n: 2 } // rolled back, say
  writing = false
  expect(await find('one')).toEqual({ n: 2 })
})

it('a row that was read while its version changed is not kept', async () => {
  const find = cache(async (key) => {
    const row = rows[key]
    await sleep(10)
    return row
  })
  const early = find('one')
  version = 'v2'
  rows.one = { n: 2 }
  expect(await early).toEqual({ n: 1 })
  expect(await find('one')).toEqual({ n: 2 })
})

it('inventing keys pushes out none that is there; what was used last stays', async () => {
  const find = cache(async (key) => (key.startsWith('none') ? [] : { key }))
  await find('one')
  for (let n = 0; n < 20_000; n += 1) await find(`none ${n}`)
  for (let n = 0; n < 9000; n += 1) {
    await find(`some ${n}`)
    await find('one')
  }
  expect(loads.filter((key) => key === 'one')).toHaveLength(1)
  await find('some 0')
  expect(loads.filter((key) => key === 'some 0')).toHaveLength(2)
})
