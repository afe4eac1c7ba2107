// The bounded queue before expensive work.
import { availableParallelism } from 'node:os'
import { createWorkQueue } from '../../src/accounts/work-queue.ts'
import { Problem } from '../../src/http/problem.ts'

/** Work that lasts until the test says so. */
function openEnded() {
  const finish: (() => void)[] = []
  const started: number[] = []
  const make = (id: number) => () => {
    started.push(id)
    return new Promise<number>((resolve) => finish.push(() => resolve(id)))
  }
  return { make, finish, started }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

it('S-203 runs so many at once, lets so many wait, and refuses the next at once', async () => {
  const queue = createWorkQueue({ running: 2, waiting: 3 })
  const { make, finish, started } = openEnded()
  const taken = [0, 1, 2, 3, 4].map((id) => queue(make(id)))
  // Nothing has finished yet, so this refusal waits for nobody.
  const refusal = await queue(make(5)).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(Problem)
  expect(refusal).toMatchObject({ status: 503, headers: { 'Retry-After': expect.stringMatching(/^[1-9]\d*$/) } })
  expect(started).toEqual([0, 1])

  finish[0]!()
  await settle()
  expect(started).toEqual([0, 1, 2])
  // A place became free in the queue.
  taken.push(queue(make(6)))
  for (let turn = 1; turn < 6; turn++) {
    finish[turn]!()
    await settle()
    expect(started.length).toBeLessThanOrEqual(turn + 3)
  }
  expect(await Promise.all(taken)).toEqual([0, 1, 2, 3, 4, 6])
  expect(started).toEqual([0, 1, 2, 3, 4, 6])
})

it('work that fails gives its place on', async () => {
  const queue = createWorkQueue({ running: 1, waiting: 2 })
  const outcomes = await Promise.allSettled([
    queue(() => Promise.reject(new Error('one'))),
    queue(() => {
      throw new Error('two')
    }),
    queue(async () => 'three'),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  expect(await queue(async () => 'four')).toBe('four')
})

it('left to itself it runs one per core, and has a bound', async () => {
  const queue = createWorkQueue()
  const { make, finish, started } = openEnded()
  const taken: Promise<number>[] = []
  const refused: unknown[] = []
  for (let id = 0; id < 500; id++) taken.push(queue(make(id)))
  for (const one of taken) one.catch((error: unknown) => refused.push(error))
  await settle()
  expect(started).toHaveLength(availableParallelism())
  expect(refused.length).toBeGreaterThan(300)
  for (let id = 0; id < 500 - refused.length; id++) {
    finish[id]!()
    await settle()
  }
  expect((await Promise.allSettled(taken)).filter(({ status }) => status === 'fulfilled')).toHaveLength(
    500 - refused.length,
  )
})
