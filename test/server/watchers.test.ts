// How long a node stays open for who watches it.
import { createWatchers, type Watchers } from '../../src/server/watchers.ts'

let time: number
let watchers: Watchers

beforeEach(() => {
  time = 1_000_000
  watchers = createWatchers({ clock: () => time })
})

/** Asks every `gap` milliseconds, `times` times. */
function ask(from: string, gap: number, times: number): void {
  for (let n = 0; n < times; n += 1) {
    if (n > 0) time += gap
    watchers.asked(from)
  }
}
/** @returns milliseconds from now until nobody watches, asking meanwhile as told */
function untilFree(everyMs?: number, from = 'lb'): number {
  const since = time
  for (; watchers.watching(); time += 10)
    if (everyMs && time > since && (time - since) % everyMs === 0) watchers.asked(from)
  return time - since
}

it('nobody has asked: it closes at once', () => {
  watchers.turnRed()
  expect([watchers.red(), untilFree()]).toEqual([true, 0])
})

it('somebody asked half a minute ago and longer: at once, too', () => {
  ask('lb', 2000, 5)
  time += 30_001
  watchers.turnRed()
  expect(untilFree()).toBe(0)
})

it('a load balancer sees red three times', () => {
  ask('lb', 2000, 5)
  time += 500
  watchers.turnRed()
  const took = untilFree(2000)
  expect(took).toBeGreaterThanOrEqual(6000)
  expect(took).toBeLessThanOrEqual(6020)
})

it('each of two does', () => {
  ask('one', 100, 5)
  ask('two', 100, 5)
  watchers.turnRed()
  for (let n = 0; n < 3; n += 1) watchers.asked('one')
  expect(watchers.watching()).toBe(true)
  for (let n = 0; n < 3; n += 1) watchers.asked('two')
  expect(watchers.watching()).toBe(false)
})

it.each([
  ['asked every 50 ms', 50, 5, 3000],
  ['asked every two seconds', 2000, 5, 5000],
  ['asked once', 0, 1, 3000],
])('who %s and stops asking is not waited for much longer', (_who, gap, times, most) => {
  ask('lb', gap, times)
  watchers.turnRed()
  const took = untilFree()
  expect(took).toBeGreaterThan(most * 0.9)
  expect(took).toBeLessThanOrEqual(most)
})

it('nobody keeps it open for more than fifteen seconds', () => {
  ask('lb', 10_000, 3)
  watchers.turnRed()
  expect(untilFree(10_000)).toBeLessThanOrEqual(15_010)
  for (let n = 0; n < 10_000; n += 1) watchers.asked(`stranger ${n}`)
  expect(watchers.watching()).toBe(false)
})
