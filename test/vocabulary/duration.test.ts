import { formatDuration, parseDuration } from '../../src/vocabulary/duration.ts'

describe('durations', () => {
  it.each([
    ['90s', 90],
    ['10m', 600],
    ['12h', 43_200],
    ['30d', 2_592_000],
  ])('reads %s and writes it the same', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds)
    expect(formatDuration(seconds)).toBe(text)
  })

  it.each(['', '10', 'm', '0m', '-1m', '1.5h', '10 m', '10M', '10m ', '1e3s', '9999999999s', '010m'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined()
    },
  )
})
