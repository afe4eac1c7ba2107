// Which addresses are one caller.
import { networkOf } from '../../src/throttle/network.ts'

it('S-199 I-42 spellings of one address, and a thousand addresses of one /64, are one network', () => {
  const one = [
    '2001:db8:7:1::1',
    '2001:DB8:7:1::1',
    '2001:0db8:0007:0001:0000:0000:0000:0001',
    '2001:db8:7:1::1%eth0',
    ...Array.from({ length: 1000 }, (_, index) => `2001:db8:7:1:${(index * 65).toString(16)}::${index.toString(16)}`),
  ]
  expect(new Set(one.map((address) => networkOf(address))).size).toBe(1)
  expect(networkOf('2001:db8:7:2::1')).not.toBe(networkOf(one[0]!))
  expect(
    new Set(['203.0.113.9', '::ffff:203.0.113.9', '::FFFF:CB00:7109', '0:0:0:0:0:ffff:203.0.113.9'].map(networkOf)),
  ).toEqual(new Set(['203.0.113.9']))
  expect(networkOf('203.0.113.10')).not.toBe(networkOf('203.0.113.9'))
  expect(networkOf('::1')).not.toBe(networkOf('127.0.0.1'))
  expect([networkOf(''), networkOf('no address')]).toEqual(['unknown', 'unknown'])
})

it('S-199 how many bits count is a setting', () => {
  const far = ['2001:db8:7:1::1', '2001:db8:7:12::1', '2001:db8:7:112::1', '2001:db8:8::1', '2001:db9::1']
  const together = (prefix: number) =>
    far.map((address) => networkOf(address, prefix) === networkOf('2001:db8:7:2::1', prefix))
  expect(together(32)).toEqual([true, true, true, true, false])
  expect(together(48)).toEqual([true, true, true, false, false])
  expect(together(56)).toEqual([true, true, false, false, false])
  expect(together(60)).toEqual([true, false, false, false, false])
  expect(together(64)).toEqual([false, false, false, false, false])
  expect(networkOf('2001:db8::1', 128)).not.toBe(networkOf('2001:db8::2', 128))
  expect(networkOf('203.0.113.9', 32)).not.toBe(networkOf('203.0.113.10', 32))
})
