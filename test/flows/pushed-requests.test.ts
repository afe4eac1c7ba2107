// Pushed authorization requests (RFC 9126, SECURITY S-052 to S-056): for the client that pushed them, for a minute, for one code.
import { LIFETIMES } from '../../src/provider/parts.ts'
import { type Browser, createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { authorizeUrl, passPages, pkce, post, redeem, type TokenAnswer } from '../helpers/flow.ts'
import { addCast, CALLBACK, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })
const spa = { id: 'spa' }

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
})
afterAll(() => server.stop())
afterEach(() => releaseClock())

type Client = { id: string; secret?: string }

async function push(client: Client, more: Record<string, string> = {}) {
  const { verifier, challenge } = pkce()
  const answer = await post(
    server,
    '/par',
    {
      client_id: client.id,
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'openid orders:read',
      state: 'the state',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...more,
    },
    client,
  )
  return { ...answer, verifier, uri: answer.body.request_uri as string }
}

/** What the browser is sent with; nothing else is needed. */
function addressOf(id: string, uri: string, more: Record<string, string> = {}): URL {
  const url = new URL(`${server.issuer}/authorize`)
  for (const [name, value] of Object.entries({ client_id: id, request_uri: uri, ...more }))
    url.searchParams.set(name, value)
  return url
}

async function authorize(id: string, uri: string, browser = createBrowser(server.issuer)) {
  return passPages(browser, await browser.open(addressOf(id, uri)))
}

/** @returns the error that a page of ours or the client hears of */
async function refusal(url: URL, browser = createBrowser(server.issuer)): Promise<string | undefined> {
  const page = await browser.open(url)
  return (
    (page.left ? page.url.searchParams.get('error') : /invalid_\w+|request_\w+_supported/.exec(page.html)?.[0]) ??
    undefined
  )
}

it('S-053 is pushed, answers for 60 s with 128 bits at least, and becomes a code and tokens', async () => {
  for (const client of [shop(), spa]) {
    const pushed = await push(client)
    expect(pushed.status).toBe(201)
    expect(pushed.body).toEqual({
      expires_in: LIFETIMES.pushedRequest,
      request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{43}$/),
    })
    expect(pushed.headers.get('cache-control')).toContain('no-store')
    const page = await authorize(client.id, pushed.uri)
    expect([page.url.origin + page.url.pathname, page.url.searchParams.get('state')]).toEqual([CALLBACK, 'the state'])
    const code = page.url.searchParams.get('code')!
    expect((await redeem(server, client, { code, verifier: pushed.verifier })).status).toBe(200)
  }
  const many = await Promise.all(Array.from({ length: 20 }, () => push(shop())))
  expect(new Set(many.map(({ uri }) => uri)).size).toBe(20)
})

it('parameters beside a pushed request are not used', async () => {
  const { uri } = await push(shop())
  const address = addressOf('shop', uri, {
    scope: 'openid orders:write',
    state: 'another',
    redirect_uri: 'https://evil.example/',
  })
  const browser = createBrowser(server.issuer)
  const page = await passPages(browser, await browser.open(address))
  expect(page.url.href).toMatch(/^http:\/\/localhost:9\/callback\?code=.*&state=the(%20|\+)state/)
})

describe('S-052 belongs to the client that pushed it', () => {
  it('S-052 who does not authenticate cannot push', async () => {
    for (const client of [{ id: 'shop' }, { id: 'shop', secret: 'x' }, { id: 'nobody', secret: 'x' }]) {
      const { status, body } = await push(client)
      expect([status, body.error]).toEqual([401, 'invalid_client'])
    }
    const other = await push(shop(), { client_id: 'spa' })
    expect([other.status, other.body.error]).toEqual([400, 'invalid_request'])
  })

  it('S-052 another client that uses it hears invalid_request_uri, and it is not used up', async () => {
    const pushed = await push(shop())
    expect(await refusal(addressOf('spa', pushed.uri))).toBe('invalid_request_uri')
    expect((await authorize('shop', pushed.uri)).url.searchParams.get('code')).toMatch(/^gth_ac_/)
  })

  it('S-052 what it asks is checked when it is pushed', async () => {
    const bad: [Record<string, string>, string][] = [
      [{ redirect_uri: 'https://evil.example/' }, 'invalid_request'],
      [{ response_type: 'token' }, 'unsupported_response_type'],
      [{ code_challenge_method: 'plain' }, 'invalid_request'],
      [{ code_challenge: 'x' }, 'invalid_request'],
      [{ resource: 'https://nobody.example' }, 'invalid_target'],
      [{ response_mode: 'web_message' }, 'unsupported_response_mode'],
    ]
    for (const [more, error] of bad) expect([more, (await push(shop(), more)).body.error]).toEqual([more, error])
  })
})

describe('S-053 is good once, and not for long', () => {
  it('S-053 used once, it is gone, for the same browser and for every other', async () => {
    const { uri } = await push(shop())
    const browser = createBrowser(server.issuer)
    await authorize('shop', uri, browser)
    expect(await refusal(addressOf('shop', uri), browser)).toBe('invalid_request_uri')
    expect(await refusal(addressOf('shop', uri))).toBe('invalid_request_uri')
  })

  it('S-053 after 60 s it is refused, unless its sign-in page is open by then', async () => {
    const [late, open] = [await push(shop()), await push(shop())]
    const browser = createBrowser(server.issuer)
    const page = await browser.open(addressOf('shop', open.uri))
    holdClock()
    passSeconds(61)
    expect(await refusal(addressOf('shop', late.uri))).toBe('invalid_request_uri')
    expect((await passPages(browser, page)).url.searchParams.get('code')).toMatch(/^gth_ac_/)
  })

  const openTwice = async () => {
    const { uri } = await push(shop())
    const tabs = await Promise.all(
      [1, 2].map(async () => {
        const browser: Browser = createBrowser(server.issuer)
        return { browser, page: await browser.open(addressOf('shop', uri)) }
      }),
    )
    return tabs
  }

  it('S-053 opened in two browsers, the one that is through first gets the code', async () => {
    const [first, second] = await openTwice()
    expect((await passPages(first!.browser, first!.page)).url.searchParams.get('code')).toMatch(/^gth_ac_/)
    const end = await passPages(second!.browser, second!.page)
    expect([end.url.searchParams.get('error'), end.url.searchParams.get('code')]).toEqual(['invalid_request_uri', null])
  })

  it('S-053 nor is it good twice when its row has been swept away meanwhile', async () => {
    const [first] = await openTwice()
    await server.database.pool().query('delete from pushed_requests')
    const end = await passPages(first!.browser, first!.page)
    expect([end.url.searchParams.get('error'), end.url.searchParams.get('code')]).toEqual(['invalid_request_uri', null])
  })

  it('S-053 what lies in the database opens nothing', async () => {
    const { uri } = await push(shop())
    const handle = uri.split(':').at(-1)!
    const browser = createBrowser(server.issuer)
    await browser.open(addressOf('shop', uri)) // an interaction that knows of it
    const pool = server.database.pool()
    const rows = await pool.query(`select t::text from pushed_requests t union all select t::text from interactions t`)
    const dump = JSON.stringify(rows.rows)
    expect(dump).toContain('shop')
    expect(dump).not.toContain(handle)
    const keys = await pool.query('select id_hash from pushed_requests')
    for (const { id_hash } of keys.rows)
      for (const name of [`~${id_hash.toString('base64url')}`, id_hash.toString('base64url')])
        expect(await refusal(addressOf('shop', `urn:ietf:params:oauth:request_uri:${name}`))).toBe(
          'invalid_request_uri',
        )
  })
})

it('S-054 a request_uri inside what is pushed is refused, and so is every method but POST', async () => {
  const { uri } = await push(shop())
  for (const request_uri of [uri, 'https://shop.example.com/r']) {
    const { status, body } = await push(shop(), { request_uri })
    expect([status, body.error]).toEqual([400, 'request_uri_not_supported'])
  }
  for (const method of ['GET', 'PUT', 'DELETE', 'HEAD'])
    expect((await fetch(`${server.issuer}/par?client_id=spa`, { method })).status).toBe(405)
})

it('S-055 a client that must push cannot do without', async () => {
  const secret = await server.addClient({ id: 'pusher', requirePar: true })
  const plain = await createBrowser(server.issuer).request(authorizeUrl(server, 'pusher', pkce().challenge))
  expect(new URL(plain.headers.get('location')!).searchParams.get('error')).toBe('invalid_request')
  const pushed: TokenAnswer & { uri: string } = await push({ id: 'pusher', secret })
  expect((await authorize('pusher', pushed.uri)).url.searchParams.get('code')).toMatch(/^gth_ac_/)
})

it('S-056 a request_uri elsewhere is refused, and nobody asks there', async () => {
  expect(await refusal(addressOf('shop', `${server.issuer}/healthz`))).toBe('request_uri_not_supported')
  expect(server.log.join('\n')).not.toContain('"path":"/healthz"')
})
