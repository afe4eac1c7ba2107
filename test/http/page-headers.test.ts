import { pageHeaders } from '../../src/http/page-headers.ts'

const policyOf = (headers: Record<string, string>) =>
  new Map(
    headers['Content-Security-Policy']!.split('; ').map((line) => [line.split(' ')[0]!, line.split(' ').slice(1)]),
  )

describe('pageHeaders', () => {
  it('S-005 lets a page load our style and our pictures and nothing else', () => {
    expect(Object.fromEntries(policyOf(pageHeaders()))).toEqual({
      'default-src': ["'none'"],
      'style-src': ["'self'"],
      'img-src': ["'self'"],
      'form-action': ["'self'"],
      'frame-ancestors': ["'none'"],
      'base-uri': ["'none'"],
    })
  })

  it('S-006 forbids frames, sniffing, referrers, shared windows, caching and indexing', () => {
    expect(pageHeaders()).toMatchObject({
      'Content-Type': 'text/html; charset=utf-8',
      'X-Frame-Options': 'DENY',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cache-Control': 'no-store',
      'X-Robots-Tag': 'noindex',
    })
  })

  it.each([
    ['https://shop.example.com/callback?a=1;b=2', 'https://shop.example.com'],
    ['http://127.0.0.1:51004/cb', 'http://127.0.0.1:51004'],
    ['com.example.app:/cb', 'com.example.app:'],
    ['http://[::1]:51004/cb', 'http:'], // CSP cannot name an IPv6 address
    ['https://a.example; script-src *', undefined],
    ['javascript:alert(1)', undefined],
    ['data:text/html,x', undefined],
    ['*', undefined],
    ['/relative', undefined],
  ])('S-005 a form may lead to %s by %s', (address, source) => {
    if (source === undefined) expect(() => pageHeaders({ formAction: [address] })).toThrow()
    else
      expect(policyOf(pageHeaders({ formAction: [address, address] })).get('form-action')).toEqual(["'self'", source])
  })
})
