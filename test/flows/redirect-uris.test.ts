// Redirect URIs: what is registered, byte for byte, or nothing (SECURITY S-027 to S-031).
import { load } from 'cheerio'
import { readClientFields } from '../../src/clients/fields.ts'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, obtainCode, passPages, pkce, redeem } from '../helpers/flow.ts'
import { addCast, CALLBACK, startTestServer, type TestServer } from '../helpers/server.ts'

const REGISTERED = 'https://shop.example.com/callback'
const POLLUTED = 'https://shop.example.com/cb?code=evil&state=evil&iss=evil&tenant=7'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  await addCast(server)
  await server.addClient({ id: 'exact', redirectUris: [REGISTERED] })
  await server.addClient({ id: 'two', redirectUris: [REGISTERED, CALLBACK] })
  await server.addClient({ id: 'loopback-web', redirectUris: ['http://127.0.0.1:8080/cb'] })
  await server.addClient({ id: 'polluted', redirectUris: [POLLUTED] })
  await server.addClient({
    id: 'app',
    kind: 'native',
    authMethod: 'none',
    redirectUris: ['http://127.0.0.1/cb', 'http://[::1]/cb', 'com.example.app:/cb', CALLBACK],
  })
})
afterAll(() => server.stop())

/** Asks for a code, signed out, and expects to stay: an error page, nowhere to go, no form that leads away. */
async function expectRefused(url: URL): Promise<void> {
  const answer = await createBrowser(server.issuer).request(url)
  const html = await answer.text()
  expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8'])
  expect(answer.headers.get('location')).toBeNull()
  expect(answer.headers.get('refresh')).toBeNull()
  const $ = load(html)
  expect($('form, script, meta[http-equiv]').length).toBe(0)
  expect($('a[href]').filter((_, link) => /evil|shop\.example/.test($(link).attr('href')!)).length).toBe(0)
}

const ask = (clientId: string, redirectUri: string | undefined, more: Record<string, string | undefined> = {}) =>
  authorizeUrl(server, clientId, pkce().challenge, { redirect_uri: redirectUri, ...more })

const corpus: readonly string[] = [
  `${REGISTERED}/`,
  `${REGISTERED}?`,
  `${REGISTERED}?x=1`,
  `${REGISTERED}&x=1`,
  `${REGISTERED}#`,
  `${REGISTERED}#x`,
  `${REGISTERED};x`,
  `${REGISTERED}/.`,
  `${REGISTERED}/..`,
  `${REGISTERED}%2f`,
  `${REGISTERED}%00`,
  `${REGISTERED}\0`,
  `${REGISTERED}%0d%0aLocation:%20https://evil.example`,
  `${REGISTERED}\r\nLocation: https://evil.example`,
  ` ${REGISTERED}`,
  `${REGISTERED} `,
  `${REGISTERED}\t`,
  `${REGISTERED}\u200b`,
  'https://shop.example.com/Callback',
  'https://shop.example.com//callback',
  'https://shop.example.com/../callback',
  'https://shop.example.com/x/../callback',
  'https://shop.example.com/%2e%2e/callback',
  'https://shop.example.com/%63allback',
  'https://shop.example.com/',
  'https://shop.example.com',
  'http://shop.example.com/callback',
  'HTTPS://shop.example.com/callback',
  'https://SHOP.example.com/callback',
  'https://shop.example.com./callback',
  'https://shop.example.com:443/callback',
  'https://shop.example.com:8443/callback',
  'https://www.shop.example.com/callback',
  'https://shop.example.com.evil.example/callback',
  'https://shop.example.com@evil.example/callback',
  'https://user:word@shop.example.com/callback',
  'https://evil.example\\@shop.example.com/callback',
  'https://shop.example.com\\@evil.example/callback',
  'https:\\\\shop.example.com\\callback',
  'https:/shop.example.com/callback',
  'https:shop.example.com/callback',
  '//shop.example.com/callback',
  '/callback',
  'https://sh\u043ep.example.com/callback',
  'https://xn--shp-ted.example.com/callback',
  'https://\uff53hop.example.com/callback',
  'https://evil.example/callback?https://shop.example.com/callback',
  'javascript:alert(1)//https://shop.example.com/callback',
  'data:text/html,https://shop.example.com/callback',
  CALLBACK,
]

it.each(corpus)('S-027 %j is not what is registered', (uri) => expectRefused(ask('exact', uri)))

it('S-027 what is registered is taken: the corpus does not fail for another reason', async () => {
  const page = await createBrowser(server.issuer).open(ask('exact', REGISTERED))
  expect([page.status, page.url.pathname]).toEqual([200, expect.stringMatching(/^\/interaction\//)])
})

it('S-027 the port varies on loopback for native apps alone', async () => {
  for (const uri of ['http://127.0.0.1:49152/cb', 'http://[::1]:50000/cb', 'com.example.app:/cb', CALLBACK]) {
    expect((await createBrowser(server.issuer).open(ask('app', uri))).status).toBe(200)
  }
  await expectRefused(ask('loopback-web', 'http://127.0.0.1:8081/cb'))
  for (const uri of [
    'http://localhost:49152/cb',
    CALLBACK.replace(':9/', ':10/'),
    'https://127.0.0.1:49152/cb',
    'http://127.0.0.1:49152/other',
    'http://127.0.0.1:49152/cb?x=1',
    'http://127.0.0.1:49152/cb#x',
    'http://x@127.0.0.1:49152/cb',
    'http://127.0.0.2:49152/cb',
    'http://127.0.0.1.evil.example:49152/cb',
    'com.example.app:/cb/x',
    'com.example.app://cb',
  ])
    await expectRefused(ask('app', uri))
})

it('S-028 neither an unknown client nor a bad redirect URI ever redirects, whatever else is wrong', async () => {
  const others: Record<string, string | undefined>[] = [
    {},
    { prompt: 'none' },
    { response_type: 'token' },
    { response_type: undefined },
    { response_mode: 'form_post' },
    { response_mode: 'fragment', response_type: 'id_token token' },
    { scope: 'nosuch' },
    { resource: 'https://nowhere.example.com' },
    { code_challenge: undefined },
    { code_challenge: 'short' },
    { state: 'x'.repeat(3000) },
    { request: 'e30.e30.' },
    { request_uri: 'https://evil.example/request' },
    { registration: '{}' },
  ]
  for (const other of others) {
    await expectRefused(ask('nobody', 'https://evil.example/cb', other))
    await expectRefused(ask('exact', 'https://evil.example/cb', other))
  }
  await expectRefused(ask(undefined as never, REGISTERED))
  const twice = ask('exact', REGISTERED)
  twice.searchParams.append('redirect_uri', 'https://evil.example/cb')
  await expectRefused(twice)
})

it('S-029 redirect_uri is required, with several registered and with one', async () => {
  for (const client of ['two', 'exact']) for (const uri of [undefined, '']) await expectRefused(ask(client, uri))
})

it('S-029 it is required at the exchange, too', async () => {
  const got = await obtainCode(server, 'two')
  const secret = await server.rooms.clients.rotateSecret('two', 'operator')
  const client = { id: 'two', secret: secret.ok ? secret.secret : '' }
  const answer = await redeem(server, client, got, { redirect_uri: '' })
  expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request'])
  expect((await redeem(server, client, got)).status).toBe(200)
})

it.each(['redirect_uris', 'post_logout_redirect_uris'])(
  'S-029 S-030 %s of a document refuse what could harm',
  (field) => {
    const good = { id: 'x', name: 'X', kind: 'native', redirect_uris: ['http://127.0.0.1/cb'] }
    expect(readClientFields({ ...good, [field]: [REGISTERED] }).ok).toBe(true)
    for (const uri of [
      `${REGISTERED}#x`,
      'javascript:alert(1)',
      'data:text/html,x',
      'vbscript:x',
      'file:///etc/passwd',
      'http://shop.example.com/cb',
      'https://*.example.com/cb',
    ]) {
      const reading = readClientFields({ ...good, [field]: [REGISTERED, uri] })
      expect(reading.ok || reading.faults).toEqual([expect.objectContaining({ path: [field, 1] })])
    }
  },
)

it('S-031 parameters that the registered URI carries are replaced, not doubled', async () => {
  const { answer, code } = await obtainCode(server, 'polluted', { redirect_uri: POLLUTED })
  expect(
    Object.fromEntries(
      [...new Set(answer.searchParams.keys())].map((name) => [name, answer.searchParams.getAll(name)]),
    ),
  ).toEqual({
    code: [expect.stringMatching(/^gth_ac_/)],
    state: ['the state'],
    iss: [server.issuer],
    tenant: ['7'],
  })
  expect(code).not.toBe('evil')
  const browser = createBrowser(server.issuer)
  const page = await browser.open(ask('polluted', POLLUTED))
  const cancelled = await browser.press(page, 'cancel')
  expect(cancelled.url.searchParams.getAll('error')).toEqual(['access_denied'])
  expect(cancelled.url.searchParams.getAll('state')).toEqual(['the state'])
  expect(cancelled.url.searchParams.getAll('code')).not.toContainEqual(expect.stringMatching(/^gth_ac_/))
  expect((await passPages(browser, cancelled)).left).toBe(true)
})
