// Who is calling: only listed proxies are believed, and only the last word counts (SECURITY S-002).
import type { IncomingMessage } from 'node:http'
import { createCallerReader } from '../../src/http/client-ip.ts'

/** Reads a request that came from `peer` with these headers. */
function read(trusted: readonly string[], peer: string | undefined, headers: Record<string, string | string[]> = {}) {
  return createCallerReader(trusted)({ socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage)
}
const forwarded = (line: string | string[], trusted = ['10.0.0.0/8'], peer = '10.0.0.1') =>
  read(trusted, peer, { 'x-forwarded-for': line }).address

const LIES = { 'x-forwarded-for': '203.0.113.66', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example' }

describe('a peer that is not listed', () => {
  it.each(['203.0.113.9', '11.0.0.1', '::1', '::ffff:203.0.113.9'])(
    'S-002 %s is who it is, whatever it says',
    (peer) => {
      const caller = read(['10.0.0.0/8', '127.0.0.1'], peer, { host: 'LOGIN.example.com:8443', ...LIES })
      expect(caller).toEqual({ address: peer.replace('::ffff:', ''), protocol: 'http', host: 'login.example.com:8443' })
    },
  )

  it('S-002 nobody is listed by default, and a peer without an address is nobody', () => {
    expect(read([], '127.0.0.1', LIES)).toEqual({ address: '127.0.0.1', protocol: 'http', host: '' })
    expect(read(['0.0.0.0/0', '::/0'], undefined, LIES)).toEqual({ address: '', protocol: 'http', host: '' })
  })
})

describe('a listed proxy', () => {
  it.each([
    ['10.1.2.3', ['10.0.0.0/8']],
    ['::ffff:10.1.2.3', ['10.0.0.0/8']],
    ['10.1.2.3', ['::ffff:10.1.2.3']],
    ['::ffff:a01:203', ['10.1.2.3']],
    ['::1', ['0:0:0:0:0:0:0:1']],
    ['fd00:0:0::0007', ['fd00::/8']],
    ['192.0.2.1', ['10.0.0.0/8', '192.0.2.1']],
  ])('S-002 %s is recognised in %j, however it is written', (peer, trusted) => {
    expect(read(trusted, peer, { host: 'inside', ...LIES })).toEqual({
      address: '203.0.113.66',
      protocol: 'https',
      host: 'evil.example',
    })
  })

  it.each([
    ['10.0.0.0/8', '11.0.0.1'],
    ['10.0.0.1', '10.0.0.2'],
    ['::1', '127.0.0.1'],
    ['::/0', '203.0.113.9'], // all of IPv6 is not all of IPv4
    ['fd00::/8', 'fe00::1'],
  ])('S-002 %s does not list %s', (trusted, peer) => {
    expect(read([trusted], peer, LIES).address).toBe(peer)
  })

  it('S-002 the caller is the last address that no proxy of ours has: what stands further left is hearsay', () => {
    expect(forwarded('203.0.113.9')).toBe('203.0.113.9')
    expect(forwarded('198.51.100.1, 203.0.113.9')).toBe('203.0.113.9')
    expect(forwarded('198.51.100.1, 203.0.113.9, 10.0.0.7, 10.0.0.8')).toBe('203.0.113.9')
    expect(forwarded('10.0.0.9, 203.0.113.9')).toBe('203.0.113.9')
    expect(forwarded(['198.51.100.1', '203.0.113.9'])).toBe('203.0.113.9')
    expect(forwarded('10.0.0.8, 10.0.0.9')).toBe('10.0.0.8')
    expect(forwarded('')).toBe('10.0.0.1')
  })

  it.each(['unknown', '_hidden', '<script>', '203.0.113.9.example', '999.0.0.1', '-'])(
    'S-002 %j is no address: the proxy stands for whoever is behind it',
    (junk) => {
      expect(forwarded(`203.0.113.9, ${junk}`)).toBe('10.0.0.1')
    },
  )

  it('S-002 one address has one spelling, so that nobody becomes another by writing it differently', () => {
    for (const text of ['2001:db8::1', '2001:0DB8:0:0::1', '[2001:db8::1]', '[2001:db8::1]:4711'])
      expect([text, forwarded(text)]).toEqual([text, '2001:db8::1'])
    for (const text of ['203.0.113.9', '203.0.113.9:4711', '::ffff:203.0.113.9', '::ffff:cb00:7109'])
      expect([text, forwarded(text)]).toEqual([text, '203.0.113.9'])
  })

  it('S-002 scheme and host: the last word, and http unless it is exactly https', () => {
    const said = (headers: Record<string, string>) => {
      const { protocol, host } = read(['10.0.0.1'], '10.0.0.1', { host: 'Login.example.com', ...headers })
      return [protocol, host]
    }
    expect(said({})).toEqual(['http', 'login.example.com'])
    expect(said({ 'x-forwarded-proto': 'https' })).toEqual(['https', 'login.example.com'])
    expect(said({ 'x-forwarded-proto': 'http, https' })).toEqual(['https', 'login.example.com'])
    for (const proto of ['https, http', 'HTTPS ', 'wss', 'https,x', 'on'])
      expect([proto, said({ 'x-forwarded-proto': proto })]).toEqual([proto, ['http', 'login.example.com']])
    expect(said({ 'x-forwarded-host': 'evil.example, Other.example.com' })[1]).toBe('other.example.com')
  })
})
