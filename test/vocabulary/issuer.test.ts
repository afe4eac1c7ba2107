import { isLoopback, issuerFault } from '../../src/vocabulary/issuer.ts'

it.each([
  'https://id.example.com',
  'https://id.example.com/tenant',
  'http://localhost:3000',
  'http://127.0.0.1:3000',
  'http://[::1]:3000',
])('%s may be an issuer', (text) => {
  expect(issuerFault(text)).toBeUndefined()
})

it.each([
  ['id.example.com', 'URL'],
  ['ftp://id.example.com', 'https'],
  ['http://id.example.com', 'https'],
  ['http://localhost.example.com', 'https'],
  ['http://127.0.0.2', 'https'],
  ['https://id.example.com?x=1', 'query'],
  ['https://id.example.com#x', 'fragment'],
  ['https://user:pw@id.example.com', 'credentials'],
])('%s may not: %s', (text, word) => {
  expect(issuerFault(text)).toContain(word)
})

it('loopback is this machine and no name that looks like it', () => {
  const loopback = (text: string) => isLoopback(new URL(text))
  expect(['http://localhost', 'https://[::1]:1', 'http://127.0.0.1'].map(loopback)).toEqual([true, true, true])
  expect(['http://localhost.evil', 'http://127.0.0.1.evil', 'http://[::2]'].map(loopback)).toEqual([
    false,
    false,
    false,
  ])
})
