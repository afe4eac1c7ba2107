import { isScope, missingScopes, parseScopes } from '../../src/vocabulary/scopes.ts'

it.each([
  ['', []],
  ['a', ['a']],
  ['orders:read b.c/d', ['orders:read', 'b.c/d']],
  [' a', undefined],
  ['a  b', undefined],
  ['a\tb', undefined],
  ['a"b', undefined],
  ['a\\b', undefined],
  ['käse', undefined],
])('parseScopes(%j)', (text, scopes) => {
  expect(parseScopes(text)).toEqual(scopes)
})

it('isScope wants exactly one', () => {
  expect(['a', 'a:b!', '', 'a b', '"'].map(isScope)).toEqual([true, true, false, false, false])
})

it('missingScopes compares whole words and case', () => {
  expect(missingScopes(['orders', 'Orders:read', 'orders:read'], ['orders:read'])).toEqual(['orders', 'Orders:read'])
})
