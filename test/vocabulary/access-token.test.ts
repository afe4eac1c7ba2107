import { readAccessTokenClaims } from '../../src/vocabulary/access-token.ts'

const good = {
  iss: 'https://id.example.com',
  aud: 'https://api.example.com',
  sub: 'ada',
  client_id: 'shop',
  jti: 'j',
  exp: 20,
  iat: 10,
}

it('keeps what it does not know, and makes one text of a list of one audience', () => {
  expect(readAccessTokenClaims({ ...good, aud: [good.aud], gid: 'x' })).toEqual({ claims: { ...good, gid: 'x' } })
})

it.each([
  ['iss', undefined],
  ['iss', ''],
  ['aud', []],
  ['aud', ['a', 'b']],
  ['aud', [7]],
  ['sub', 7],
  ['sub', 's'.repeat(513)],
  ['sub', 'a\nb'],
  ['client_id', null],
  ['jti', { toString: 'j' }],
  ['exp', '20'],
  ['exp', Number.NaN],
  ['iat', -1],
  ['nbf', 'now'],
  ['scope', ['a']],
  ['scope', 'a  b'],
  ['scope', 'a '.repeat(2100).trim()],
])('names the claim that is wrong: %s = %j', (claim, value) => {
  expect(readAccessTokenClaims({ ...good, [claim]: value })).toEqual({ wrong: claim })
})
