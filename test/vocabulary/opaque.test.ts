// The shape of opaque values: recognisable, and junk is recognised as junk without asking anybody.
import { randomBytes } from 'node:crypto'
import { formatOpaque, OPAQUE_PATTERN, parseOpaque } from '../../src/vocabulary/opaque.ts'

it('what is written is read again, for every length and for leading zeros', () => {
  for (const length of [16, 32, 48]) {
    for (const body of [randomBytes(length), Buffer.alloc(length), Buffer.alloc(length, 255)]) {
      for (const kind of ['at', 'rt', 'ac'] as const)
        expect(parseOpaque(formatOpaque(kind, body))).toEqual({ kind, body })
    }
  }
})

it('S-116 has a prefix and a checksum that a scanner can recognise', () => {
  const token = formatOpaque('at', randomBytes(32))
  expect(token).toMatch(/^gth_at_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/)
  expect(OPAQUE_PATTERN.exec(`log line with ${token}, leaked`)?.[0]).toBe(token)
})

it('S-117 every cut, every changed character and every other kind is junk', () => {
  const token = formatOpaque('rt', randomBytes(48))
  for (let length = 0; length < token.length; length++) expect(parseOpaque(token.slice(0, length))).toBeUndefined()
  for (let at = 0; at < token.length; at++) {
    const changed = `${token.slice(0, at)}${token[at] === 'x' ? 'y' : 'x'}${token.slice(at + 1)}`
    expect(parseOpaque(changed)).toBeUndefined()
  }
  for (const junk of [
    '',
    'gth_rt_',
    `${token}0`,
    ` ${token}`,
    token.toUpperCase(),
    token.replace('_rt_', '_at_'),
    'a'.repeat(10_000),
  ]) {
    expect(parseOpaque(junk)).toBeUndefined()
  }
})
