import { redirectUriFault } from '../../src/clients/redirect-uri.ts'

const web = (uri: string) => redirectUriFault(uri, false)
const native = (uri: string) => redirectUriFault(uri, true)

describe('redirect URIs', () => {
  it.each([
    'https://shop.example.com/callback',
    'https://shop.example.com/',
    'https://shop.example.com',
    'https://shop.example.com?tenant=7',
    'https://shop.example.com:8443/cb?tenant=7&x=%20y',
    'https://xn--bcher-kva.example/cb',
    'http://localhost:8080/cb',
    'http://127.0.0.1/cb',
    'http://[::1]:9/cb',
    // The engine replaces what is there already (SECURITY S-031), so this may be registered.
    'https://shop.example.com/cb?code=evil',
  ])('accepts %s for a web client', (uri) => {
    expect(web(uri)).toBeUndefined()
  })

  it.each([
    'com.example.app:/callback',
    'com.example.app://callback',
    'http://127.0.0.1/cb',
    'https://app.example.com/cb',
  ])('accepts %s for a native app', (uri) => {
    expect(native(uri)).toBeUndefined()
  })

  it.each([
    ['javascript:alert(1)', /scheme javascript:/],
    ['JavaScript:alert(1)', /scheme javascript:/],
    ['data:text/html,hello', /scheme data:/],
    ['vbscript:msgbox(1)', /scheme vbscript:/],
    ['file:///etc/passwd', /scheme file:/],
    ['blob:https://a.example/1', /scheme blob:/],
    ['about:blank', /scheme about:/],
    ['http://shop.example.com/cb', /must be https/],
    ['http://localhost.example.com/cb', /must be https/],
    ['http://127.0.0.2/cb', /must be https/],
    ['https://*.example.com/cb', /wildcard/],
    ['https://shop.example.com/*', /wildcard/],
    ['ftp://shop.example.com/cb', /must (be https|have a scheme with a dot)/],
    ['myapp:/callback', /must (be https|have a scheme with a dot)/],
  ])('S-030 refuses to register %s, for a web client and a native app alike', (uri, why) => {
    expect(web(uri)).toMatch(why)
    expect(native(uri)).toMatch(why)
  })

  it('S-029 refuses a fragment, even an empty one', () => {
    for (const uri of ['https://shop.example.com/cb#x', 'https://shop.example.com/cb#', 'com.example.app:/cb#x']) {
      expect(web(uri)).toMatch(/fragment/)
      expect(native(uri)).toMatch(/fragment/)
    }
  })

  it.each([
    ['https://ada@shop.example.com/cb', /user name/],
    ['https://shop.example.com@evil.example/cb', /user name/],
    ['https://@shop.example.com/cb', /normal form/],
    ['https://shop.example.com/a/../cb', /normal form/],
    ['https://shop.example.com/%2e%2e/cb', /normal form/],
    ['https://SHOP.example.com/cb', /normal form/],
    ['HTTPS://shop.example.com/cb', /normal form/],
    ['https://shop.example.com:443/cb', /normal form/],
    ['https:shop.example.com/cb', /normal form/],
    ['https:///shop.example.com/cb', /normal form/],
    ['http://2130706433/cb', /normal form/],
    ['https:\\\\shop.example.com/cb', /no URI has/],
    ['https://shop.example.com\\@evil.example/cb', /no URI has/],
    ['https://shop.example.com/c b', /no URI has/],
    ['https://bücher.example/cb', /no URI has/],
    [' https://shop.example.com/cb', /no URI has/],
    ['https://shop.example.com/cb\n', /no URI has/],
    ['/cb', /absolute/],
    ['//shop.example.com/cb', /absolute/],
    ['', /absolute/],
    [`https://shop.example.com/${'a'.repeat(2000)}`, /longer/],
  ])('S-027 refuses to register %s, which parsers would read in more than one way', (uri, why) => {
    expect(web(uri)).toMatch(why)
  })

  it('keeps schemes of their own and https on loopback to where they belong', () => {
    expect(web('com.example.app:/callback')).toMatch(/native apps only/)
    expect(native('https://localhost/cb')).toMatch(/http on loopback/)
    expect(web('https://localhost/cb')).toBeUndefined()
  })
})
