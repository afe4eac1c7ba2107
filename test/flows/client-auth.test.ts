// How clients with a secret prove who they are (SECURITY S-065 to S-069).
import { createHash } from 'node:crypto'
import { basic } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'
import { createSigner, type Signer } from '../helpers/signer.ts'
import { inOneVersion, statementsOf } from '../helpers/statements.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let postSecret: string
let signer: Signer

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  const service = {
    kind: 'service',
    redirectUris: [],
    refresh: 'none',
    scopes: (await server.rooms.clients.find('billing'))!.scopes,
  } as const
  postSecret = await server.addClient({ id: 'poster', ...service, authMethod: 'client_secret_post' })
  signer = await createSigner(server.issuer, 'signer')
  await server.addClient({ id: 'signer', ...service, authMethod: 'private_key_jwt', jwks: signer.jwks })
})
afterAll(() => server.stop())

const ENDPOINTS = ['/token', '/introspect', '/revoke'] as const
const BODY = {
  '/token': { grant_type: 'client_credentials' },
  '/introspect': { token: 'x' },
  '/revoke': { token: 'x' },
}

async function send(path: keyof typeof BODY, headers: Record<string, string>, more: Record<string, string> = {}) {
  const response = await fetch(`${server.issuer}${path}`, {
    method: 'POST',
    headers,
    body: new URLSearchParams({ ...BODY[path], ...more }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text && JSON.parse(text) }
}

it.each(ENDPOINTS)('S-065 %s takes POST only, and no credentials in the address', async (path) => {
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD'])
    expect((await fetch(`${server.issuer}${path}`, { method, headers: basic('billing', cast.billing) })).status).toBe(
      405,
    )
  const query = new URLSearchParams({ client_id: 'poster', client_secret: postSecret, ...BODY[path] })
  for (const body of [new URLSearchParams(BODY[path]), new URLSearchParams()]) {
    const answer = await fetch(`${server.issuer}${path}?${query}`, { method: 'POST', body })
    expect(answer.status).toBe(400)
    expect(await answer.json()).not.toHaveProperty('access_token')
  }
})

it('S-066 two ways at once are refused', async () => {
  const assertion = await signer.assert()
  for (const more of [{ client_secret: cast.billing, client_id: 'billing' }, { client_secret: 'x' }, assertion]) {
    const answer = await send('/token', basic('billing', cast.billing), more as Record<string, string>)
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request'])
  }
  const both = await send('/token', {}, { ...assertion, client_secret: cast.billing })
  expect([both.status, both.body.error]).toEqual([400, 'invalid_request'])
  const other = await send('/token', basic('billing', cast.billing), { client_id: 'poster' })
  expect([other.status, other.body.error]).toEqual([400, 'invalid_request'])
})

it('S-066 only the registered way is taken', async () => {
  const inBody = (id: string, secret: string) => send('/token', {}, { client_id: id, client_secret: secret })
  expect((await send('/token', basic('billing', cast.billing))).status).toBe(200)
  expect((await inBody('poster', postSecret)).status).toBe(200)
  const signed = await signer.assert({ iss: 'billing', sub: 'billing' })
  for (const answer of [
    await inBody('billing', cast.billing),
    await send('/token', basic('poster', postSecret)),
    await send('/token', basic('signer', 'x')),
    await inBody('signer', 'x'),
    await send('/token', {}, signed),
    await send('/token', {}, { client_id: 'billing' }),
    await send('/token', {}, { client_id: 'signer' }),
    await send('/token', basic('spa', 'x')),
  ])
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
})

it.each(ENDPOINTS)('S-067 %s: credentials that cannot be read are 401 with WWW-Authenticate', async (path) => {
  const raw = (text: string | Buffer) => `Basic ${Buffer.from(text).toString('base64')}`
  for (const authorization of [
    raw('billing:%zz'),
    raw('%zz:x'),
    raw('billing:%'),
    raw('billing:%ff'), // not UTF-8
    raw(Buffer.from([0x62, 0x3a, 0xff, 0xfe])),
    raw('billing:\0'),
    raw('billing:a\nb'),
    raw(`billing${cast.billing}`), // no colon
    raw('billing:'),
    raw(':'),
    raw(''),
    'Basic',
    'Basic ',
    'Basic ***',
    'Basic YQ',
    'Basic a b',
    `Basic ${'A'.repeat(8000)}`,
    `Basic${raw(`billing:${cast.billing}`).slice(5).trim()}`,
    'Bearer',
    'Bearer x',
    'Negotiate x',
    'Digest username="billing"',
    `,${raw(`billing:${cast.billing}`)}`,
  ]) {
    const answer = await send(path, { authorization })
    expect([authorization, answer.status, answer.body.error]).toEqual([authorization, 401, 'invalid_client'])
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="/)
    expect(answer.headers.get('cache-control')).toContain('no-store')
  }
})

it('S-067 percent-encoded credentials are decoded as forms are', async () => {
  const encode = (text: string) => [...text].map((character) => `%${character.charCodeAt(0).toString(16)}`).join('')
  const token = Buffer.from(`${encode('billing')}:${encode(cast.billing)}`).toString('base64')
  expect((await send('/token', { authorization: `Basic ${token}` })).status).toBe(200)
})

it('S-068 a secret has 256 random bits, is told once, and no table or list has it', async () => {
  const secrets = [cast.billing, cast.shop, postSecret]
  for (const secret of secrets) expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
  const pool = server.database.pool()
  const tables = await pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public'`,
  )
  let dump = ''
  for (const { name } of tables.rows) {
    const rows = await pool.query(`select t::text, encode(convert_to(t::text, 'UTF8'), 'escape') from "${name}" t`)
    dump += JSON.stringify(rows.rows)
  }
  expect(dump).toContain('billing')
  const told = dump + JSON.stringify(await server.rooms.clients.list()) + server.log.join('\n')
  for (const secret of secrets) {
    const forms = [
      secret,
      Buffer.from(secret).toString('hex'),
      Buffer.from(secret, 'base64url').toString('hex'),
      createHash('sha256').update(secret).digest('hex'), // unkeyed
    ]
    for (const form of forms) expect(told).not.toContain(form)
  }
})

describe('S-069 an unknown client and a wrong secret', () => {
  const unknown = () => send('/token', basic('nobody', cast.billing))
  const wrong = () => send('/token', basic('billing', cast.shop))

  it('are answered alike', async () => {
    const [first, second] = [await unknown(), await wrong()]
    expect(first.status).toBe(401)
    expect(first.body).toEqual(second.body)
    const shape = (headers: Headers) => [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name))
    expect(shape(first.headers)).toEqual(shape(second.headers))
  })

  it('cost the same look-ups, so that time tells nothing', async () => {
    // The first request of a while also looks at the key ring.
    await unknown()
    // Another client makes what is kept in memory old, for either.
    let others = 0
    const from = (ask: () => Promise<unknown>) =>
      inOneVersion(
        server.rooms.live!,
        () => statementsOf(ask),
        () => server.addClient({ id: `another-${++others}` }),
      )
    const ofUnknown = await from(unknown)
    expect(ofUnknown.filter((text) => text.includes('"client_secrets"'))).toHaveLength(1)
    expect(ofUnknown).toEqual(await from(wrong))
  })

  it('take the same time: half as much again would be look-ups, a hash of a password, or a wait', async () => {
    const timed = async (ask: () => Promise<unknown>) => {
      const before = performance.now()
      await ask()
      return performance.now() - before
    }
    // By pairs, for a busy machine is as busy for either; each is as often the second, which the first has warmed up for.
    const ratios: number[] = []
    for (let pair = 0; pair < 100; pair++) {
      const first = await timed(pair % 2 === 0 ? unknown : wrong)
      const second = await timed(pair % 2 === 0 ? wrong : unknown)
      ratios.push(pair % 2 === 0 ? second / first : first / second)
    }
    const median = ratios.sort((a, b) => a - b)[ratios.length >> 1]!
    expect(Math.max(median, 1 / median)).toBeLessThan(1.5)
  })
})
