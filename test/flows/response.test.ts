// What comes back from the authorization endpoint: types, modes, issuer, state, codes (SECURITY S-032 to S-036).
import { createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, obtainCode, passPages, pkce, redeem } from '../helpers/flow.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addClient({ id: 'ours', firstParty: true })
  await server.addClient({ id: 'modal', firstParty: true, responseModes: ['fragment', 'form_post'] })
})
afterAll(() => server.stop())
afterEach(releaseClock)

const ask = (clientId: string, params: Record<string, string | undefined>) =>
  authorizeUrl(server, clientId, pkce().challenge, params)

/** Sends one request, signed out. @returns what the app gets to know, in the query or behind the # */
async function answerOf(clientId: string, params: Record<string, string | undefined>): Promise<URLSearchParams> {
  const answer = await createBrowser(server.issuer).request(ask(clientId, params))
  const location = answer.headers.get('location') ?? ''
  if (!location.startsWith(CALLBACK)) throw new Error(`${answer.status} ${location} ${await answer.text()}`)
  const { search, hash } = new URL(location)
  return new URLSearchParams(search || hash.slice(1))
}

it.each(['token', 'id_token', 'id_token token', 'code token', 'code id_token', 'code id_token token', 'none', 'x'])(
  'S-032 response_type %j is not supported',
  async (responseType) => {
    const answer = await answerOf('shop', { response_type: responseType, nonce: 'n' })
    expect(answer.get('error')).toBe('unsupported_response_type')
    expect(['code', 'access_token', 'id_token'].filter((name) => answer.has(name))).toEqual([])
    expect(answer.get('state')).toBe('the state')
  },
)

describe('S-033 response modes are an allow-list of each client', () => {
  it.each(['fragment', 'form_post', 'query.jwt', 'jwt', 'web_message', 'x'])(
    '%s is off unless registered',
    async (mode) => {
      const { browser } = await obtainCode(server, 'ours')
      const page = await browser.open(ask('ours', { response_mode: mode, prompt: 'none' }))
      const carried = `${page.url.href} ${page.html}`
      expect(carried).not.toContain('gth_ac_')
      expect(carried).toMatch(/invalid_request|unsupported_response_mode/)
    },
  )

  it('fragment answers behind the #, where it is registered; query does not', async () => {
    const browser = createBrowser(server.issuer)
    const page = await passPages(browser, await browser.open(ask('modal', { response_mode: 'fragment' })))
    expect(page.url.search).toBe('')
    expect(new URLSearchParams(page.url.hash.slice(1)).get('code')).toMatch(/^gth_ac_/)
    const refused = await browser.open(ask('modal', { response_mode: 'query' }))
    expect([refused.url.searchParams.get('error'), refused.url.searchParams.has('code')]).toEqual([
      'invalid_request',
      false,
    ])
  })

  it('a response type written twice does not get round the list', async () => {
    const { browser } = await obtainCode(server, 'ours')
    const page = await browser.open(ask('ours', { response_mode: 'fragment', response_type: 'code code' }))
    expect(page.url.href).not.toContain('gth_ac_')
  })
})

it('S-034 iss is in every answer, errors included', async () => {
  const { answer, browser } = await obtainCode(server, 'shop')
  expect(answer.searchParams.getAll('iss')).toEqual([server.issuer])
  const errors: [string, Record<string, string | undefined>][] = [
    ['login_required', { prompt: 'none' }],
    ['invalid_request', { code_challenge: undefined }],
    ['invalid_request', { prompt: 'none login' }],
    ['invalid_scope', { scope: 'nosuch' }],
    ['invalid_target', { resource: 'https://nowhere.example.com' }],
    ['unsupported_response_type', { response_type: 'token' }],
    ['unsupported_response_mode', { response_mode: 'x' }],
    ['request_not_supported', { request: 'e30.e30.' }],
    ['request_uri_not_supported', { request_uri: 'https://evil.example/r' }],
    ['registration_not_supported', { registration: '{}' }],
  ]
  for (const [error, params] of errors) {
    const said = await answerOf('shop', params)
    expect([error, said.get('error'), said.getAll('iss')]).toEqual([error, error, [server.issuer]])
  }
  const page = await browser.open(ask('shop', { prompt: 'consent' }))
  const denied = await browser.press(page, 'deny')
  expect([denied.url.searchParams.get('error'), denied.url.searchParams.getAll('iss')]).toEqual([
    'access_denied',
    [server.issuer],
  ])
})

it.each([
  ['unicode', 'Grüße, 世界 👋🏽 – ‮x'],
  ['1 KiB', 'aB3-'.repeat(256)],
  ['2 KiB', 'x'.repeat(2048)],
  ['everything that a query could trip over', `a+b c%20d&e=f#g?h;"'<>\\/\`{}|^~[]@!$*(),:`],
  ['JSON', '{"to":"/orders?id=7&x=%2F","n":1}'],
  ['line breaks', 'a\r\nb\tc'],
  ['the mark by which we keep our own ids', '{interaction-id} {interaction-id}'],
])('S-035 state comes back once and unchanged: %s', async (_what, state) => {
  const good = await obtainCode(server, 'ours', { state })
  expect(good.answer.searchParams.getAll('state')).toEqual([state])
  expect((await answerOf('ours', { state, prompt: 'none' })).getAll('state')).toEqual([state])
})

it('S-035 longer state is refused here, and no state stays no state', async () => {
  const answer = await createBrowser(server.issuer).request(ask('shop', { state: 'x'.repeat(2049) }))
  expect([answer.status, answer.headers.get('location')]).toEqual([400, null])
  const { answer: without } = await obtainCode(server, 'ours', { state: undefined })
  expect(without.searchParams.has('state')).toBe(false)
})

it('S-036 a code has 256 random bits, and no two are alike', async () => {
  const { browser } = await obtainCode(server, 'ours')
  const codes = new Set<string>()
  for (let round = 0; round < 25; round++) {
    const pages = await Promise.all(Array.from({ length: 8 }, () => browser.open(ask('ours', {}))))
    for (const page of pages) codes.add(page.url.searchParams.get('code')!)
  }
  expect(codes.size).toBe(200)
  // 43 base62 characters carry 256 bits; six more are the checksum.
  for (const code of codes) expect(code).toMatch(/^gth_ac_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/)
  // Each place takes many values: a counter or a clock in front would show.
  for (let place = 7; place < 49; place++)
    expect(new Set([...codes].map((code) => code[place])).size).toBeGreaterThan(20)
})

it('S-036 a code lives for 60 seconds', async () => {
  holdClock()
  const early = await obtainCode(server, 'shop')
  passSeconds(59)
  expect((await redeem(server, shop(), early)).status).toBe(200)
  const late = await obtainCode(server, 'shop', {}, early.browser)
  passSeconds(61)
  const answer = await redeem(server, shop(), late)
  expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant'])
  expect(answer.body.access_token).toBeUndefined()
})

it('a code of one resource names it in the answer of the token endpoint, not in the address', async () => {
  const { answer } = await obtainCode(server, 'shop', { resource: ORDERS })
  expect([...answer.searchParams.keys()].sort()).toEqual(['code', 'iss', 'state'])
})
