// The version of the key ring that a value carries: read back from what we write, and from nothing else.
import { randomBytes } from 'node:crypto'
import { formatOpaque, OPAQUE_PATTERN, parseOpaque } from '../../src/vocabulary/opaque.ts'
import { MOST_RING_VERSIONS, markId, ringVersionOf } from '../../src/vocabulary/ring-mark.ts'

const VERSIONS = [1, 2, 9, 10, 61, 62, 63, 1000, MOST_RING_VERSIONS]

it.each(VERSIONS)('version %d is read from ids and opaque values, whose rest stays what it was', (version) => {
  const id = randomBytes(32).toString('base64url')
  expect(ringVersionOf(markId(version, id))).toBe(version)
  for (const body of [randomBytes(32), Buffer.alloc(32, 255), Buffer.alloc(48, 255), Buffer.alloc(32)]) {
    const token = formatOpaque('rt', body, version)
    expect([ringVersionOf(token), parseOpaque(token)]).toEqual([version, { kind: 'rt', body }])
    expect(OPAQUE_PATTERN.exec(`a leak: ${token}!`)?.[0]).toBe(token)
  }
})

it('the first version leaves no mark', () => {
  expect(markId(1, 'abc')).toBe('abc')
  expect(formatOpaque('at', Buffer.alloc(32), 1)).toBe(formatOpaque('at', Buffer.alloc(32)))
})

it('S-117 a mark cannot be changed or taken away', () => {
  const token = formatOpaque('at', randomBytes(32), 2)
  expect(parseOpaque(token.replace('_z02', '_z01'))).toBeUndefined()
  expect(parseOpaque(token.replace('_z02', '_'))).toBeUndefined()
})

it.each([
  '',
  '2.',
  '10.0.0.1',
  '2.short',
  'ada@example.com',
  '2.ada@example.com and more than that',
  '{"a":"2.x"}',
  '0.x',
])('what is not ours (%j) belongs to the first', (text) => {
  expect(ringVersionOf(text)).toBe(1)
})
