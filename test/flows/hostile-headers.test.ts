// No Authorization header makes a fault, at no endpoint (SECURITY S-081, CVE-2026-9803).
import { connect } from 'node:net'
import { obtainTokens } from '../helpers/flow.ts'
import { send } from '../helpers/process.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let port: number
let host: string

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  ;({ host } = new URL(server.issuer))
  port = Number(new URL(server.issuer).port)
})
afterAll(() => server.stop())

describe('S-081 no Authorization header makes a fault', () => {
  const ENDPOINTS: [string, string][] = [
    ['GET', '/'],
    ['GET', '/healthz'],
    ['GET', '/readyz'],
    ['GET', '/.well-known/openid-configuration'],
    ['GET', '/jwks'],
    ['GET', '/authorize?client_id=shop'],
    ['GET', '/authorize/x'],
    ['POST', '/token'],
    ['POST', '/introspect'],
    ['POST', '/revoke'],
    ['GET', '/userinfo'],
    ['POST', '/userinfo'],
    ['GET', '/logout'],
    ['POST', '/logout/confirm'],
    ['GET', '/interaction/x'],
    ['POST', '/interaction/x'],
    ['GET', '/set-password'],
    ['GET', '/admin/setup'],
    ['GET', '/nowhere'],
  ]
  const base64 = (text: string) => Buffer.from(text).toString('base64')

  /** The same 200 values in each run: the known traps, then noise from a small generator. */
  function headers(): string[] {
    const known = [
      ...[
        'Bearer',
        'Bearer ',
        'Bearer  ',
        'bearer x',
        'Bearer x y',
        'Bearer\tx',
        'Bearer a.b.c',
        'Bearer ..',
        'Bearer e30.e30.e30',
        'Bearer =',
      ],
      ...[
        'Basic',
        'Basic ',
        'Basic  ',
        'basic Og==',
        'Basic :',
        'Basic =',
        'Basic ====',
        'Basic Og',
        'Basic a b',
        'Basic\tOg==',
      ],
      ...[
        ':',
        '%zz:%zz',
        '%:',
        ':%',
        '\0:\0',
        'shop',
        'shop:',
        ':x',
        'a:b:c',
        '%00:%00',
        '%ff:%ff',
        '\ud800:x',
        '__proto__:x',
        'constructor:x',
        `${'x'.repeat(3000)}:x`,
      ].map((text) => `Basic ${base64(text)}`),
      ...[[0xff, 0x3a, 0xfe], [0xc0, 0x80, 0x3a], [0], [0xef, 0xbb, 0xbf, 0x3a]].map(
        (bytes) => `Basic ${Buffer.from(bytes).toString('base64')}`,
      ),
      ...[
        'DPoP',
        'DPoP x',
        'Digest username="x"',
        'Negotiate',
        'undefined',
        'null',
        '{}',
        '[]',
        ',',
        ';',
        '"',
        "'",
        '\\',
        '%',
        'gth_at_x',
        'Bearer gth_at_x',
        'Bearer gth_rt_',
        `Bearer gth_at_${'A'.repeat(49)}`,
      ],
      ...[
        `Bearer ${'x'.repeat(8000)}`,
        `Bearer ${'.'.repeat(4000)}`,
        `Basic ${'A'.repeat(8000)}`,
        `Bearer ${base64('{"alg":"none"}')}.${base64('{}')}.`,
      ],
    ]
    let seed = 20_260_101
    const next = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
      return (seed >>> 8) % below
    }
    while (known.length < 200) {
      const start = ['Bearer ', 'Basic ', 'bAsIc ', 'DPoP ', '', 'Bearer gth_at_', 'Basic =='][next(7)]!
      // Everything that a header may hold: visible ASCII, blanks, and the upper half of Latin-1.
      const noise = Array.from({ length: next(60) }, () =>
        String.fromCharCode(next(3) ? 0x20 + next(95) : 0x80 + next(128)),
      )
      known.push(start + noise.join(''))
    }
    return known
  }

  it.each(ENDPOINTS)('%s %s', async (method, path) => {
    const all = headers()
    expect(all).toHaveLength(200)
    const statuses = new Set<number>()
    for (let at = 0; at < all.length; at += 20) {
      const some = all.slice(at, at + 20)
      const answers = await Promise.all(
        some.map((authorization) =>
          send(port, path, {
            headers: { host, authorization },
            ...(method === 'POST' ? { form: { token: 'x', grant_type: 'x' } } : {}),
          }),
        ),
      )
      answers.forEach((answer, index) => {
        statuses.add(answer.status)
        if (answer.status >= 500)
          throw new Error(`${JSON.stringify(some[index])} ${answer.status} ${answer.text.slice(0, 300)}`)
      })
    }
    // What needs no credentials does not look at them.
    if (['/healthz', '/readyz', '/', '/jwks', '/.well-known/openid-configuration'].includes(path))
      expect([...statuses]).toEqual([200])
    if (['/userinfo', '/token', '/introspect', '/revoke'].includes(path)) expect(statuses.has(200)).toBe(false)
  })

  it('nor what no HTTP client would send: control characters, two headers at once, folded lines', async () => {
    const token = (await obtainTokens(server, { id: 'shop', secret: cast.shop })).body.access_token
    for (const lines of [
      'Authorization: Bearer \x01\x02',
      'Authorization: \0',
      'Authorization: Basic \x7f',
      `Authorization: Bearer ${token}\r\nAuthorization: Bearer ${token}`,
      `Authorization: Bearer ${token}\r\nAuthorization: Basic ${base64('shop:x')}`,
      `Authorization: Bearer\r\n ${token}`,
      'Authorization:',
      'Authorization',
      'Authorization : Bearer x',
      `Authorization: Bearer ${'x'.repeat(100_000)}`,
    ])
      for (const target of ['GET /userinfo', 'POST /token']) {
        const status = await raw(
          `${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: 0\r\n${lines}\r\n\r\n`,
        )
        expect([lines.slice(0, 60), status >= 200 && status < 500]).toEqual([lines.slice(0, 60), true])
      }
  })

  /** Sends bytes as they are. @returns the status of the answer; 400 where the connection was closed instead */
  function raw(bytes: string): Promise<number> {
    return new Promise((resolve) => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
      socket.on('data', (data) => {
        text += data
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 400)))
    })
  }
})
