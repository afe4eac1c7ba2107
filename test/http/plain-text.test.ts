import { plainText } from '../../src/http/plain-text.ts'

describe('plainText', () => {
  it.each([
    ['right-to-left override', 'Bank\u202Ekcatta\u202C', 'Bankkcatta'],
    ['isolates and marks', '\u2067Shop\u2069\u200F\u061C', 'Shop'],
    ['controls', 'a\u0000b\u0007\u009Fc', 'a b c'],
    ['lines', 'Shop\r\n\r\n  trust us\u2028now', 'Shop trust us now'],
    ['zero width', 'Sh\u200Bo\uFEFFp\u2060', 'Shop'],
    ['tag letters', 'Shop\u{E0041}\u{E0042}', 'Shop'],
    ['private use and broken surrogates', 'Shop\uE000\uD800', 'Shop'],
    ['heaps of marks', `Z${'\u0301'.repeat(50)}`, `Z${'\u0301'.repeat(4)}`],
    ['nothing that can be seen', ' \u3164\u2800\u00AD\u200D', ''],
  ])('S-154 cleans %s', (_what, text, expected) => {
    expect(plainText(text)).toBe(expected)
  })

  it.each(['Ladenbüro Ørsted', '角の店', 'متجر الزاوية', 'می\u200Cخواهم', '👩\u200D🚀 Ltd', 'नमस्ते'])(
    'leaves %s alone',
    (text) => {
      expect(plainText(text)).toBe(text)
    },
  )

  it('S-154 caps by whole characters', () => {
    expect(plainText('👩👩👩👩👩', 3)).toBe('👩👩…')
    expect(plainText('abc', 3)).toBe('abc')
    expect(Array.from(plainText('x'.repeat(5000), 80))).toHaveLength(80)
  })
})
