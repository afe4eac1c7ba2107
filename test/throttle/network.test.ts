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
  expect(new Set(one.map(networkOf)).size).toBe(1)
  expect(networkOf('2001:db8:7:2::1')).not.toBe(networkOf(one[0]!))
  expect(
    new Set(['203.0.113.9', '::ffff:203.0.113.9', '::FFFF:CB00:7109', '0:0:0:0:0:ffff:203.0.113.9'].map(networkOf)),
  ).toEqual(new Set(['203.0.113.9']))
  expect(networkOf('203.0.113.10')).not.toBe(networkOf('203.0.113.9'))
  expect(networkOf('::1')).not.toBe(networkOf('127.0.0.1'))
  expect([networkOf(''), networkOf('no address')]).toEqual(['unknown', 'unknown'])
})
