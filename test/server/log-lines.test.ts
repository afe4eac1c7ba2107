// Lines that cannot be written, by a device that takes what it is told to take.
import { createLogLines } from '../../src/server/log-lines.ts'

let taken: string
let room: number
let code: string
let tries: number
const lines = () =>
  createLogLines(
    (bytes) => {
      tries += 1
      if (room === 0) throw Object.assign(new Error('no'), { code })
      const some = bytes.subarray(0, room)
      room -= some.length
      taken += some.toString()
      return some.length
    },
    (lost) => `lost ${lost}\n`,
  )

beforeEach(() => {
  taken = ''
  tries = 0
  room = Number.POSITIVE_INFINITY
  code = 'ENOSPC'
})

it('writes what it is given', () => {
  const log = lines()
  log.write('one\n')
  log.write('zwölf\n')
  expect(taken).toBe('one\nzwölf\n')
})

it('R-30 what a full disk does not take is lost and counted, and no line is torn', () => {
  const log = lines()
  room = 6
  for (const line of ['one\n', 'two\n', 'three\n', 'four\n']) log.write(line)
  expect(taken).toBe('one\ntw')
  room = 3
  log.write('five\n')
  expect(taken).toBe('one\ntwo\nl')
  room = Number.POSITIVE_INFINITY
  log.write('six\n')
  expect(taken).toBe('one\ntwo\nlost 2\nlost 1\nsix\n')
})

it('R-30 a reader who is behind is waited for, once', () => {
  const log = lines()
  room = 0
  code = 'EAGAIN'
  const begun = performance.now()
  for (let turn = 0; turn < 100; turn++) log.write('one\n')
  expect(performance.now() - begun).toBeGreaterThan(500)
  expect(performance.now() - begun).toBeLessThan(3000)
  const before = tries
  log.write('one\n')
  expect(tries - before).toBe(1)
  room = Number.POSITIVE_INFINITY
  log.write('two\n')
  expect(taken).toBe('lost 101\ntwo\n')
})
