// Bodies and headers that are refused before they cost anything: too large, or no form (SECURITY S-011, S-012).
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { basic } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

type Body = NonNullable<RequestInit['body']>

const FORM = 'application/x-www-form-urlencoded'
const GRANT = 'grant_type=client_credentials'
/** every address that takes a form */
const FORMS = [
  '/token',
  '/introspect',
  '/revoke',
  '/userinfo',
  '/logout/confirm',
  '/interaction/x',
  '/set-password',
  '/admin/setup',
]

let server: TestServer
let auth: Record<string, string>

beforeAll(async () => {
  server = await startTestServer()
  auth = basic('billing', (await addCast(server)).billing)
})
afterAll(() => server.stop())

const send = (path: string, body: Body, headers: Record<string, string> = {}) =>
  fetch(`${server.issuer}${path}`, { method: 'POST', body, headers: { 'content-type': FORM, ...auth, ...headers } })
const kind = ({ status }: Response) => `${Math.floor(status / 100)}xx`

/**
 * Announces a body, then sends chunks of it for as long as the server lets it.
 * @returns the status line, and how many bytes were sent when it came
 */
function drip(path: string, header: string, chunk: Buffer): Promise<{ status: string; sent: number }> {
  return new Promise((resolve, reject) => {
    let sent = 0
    let timer: NodeJS.Timeout
    const socket = connect(server.rooms.config.port, '127.0.0.1', () => {
      const lines = [`POST ${path} HTTP/1.1`, `Host: ${new URL(server.issuer).host}`, `Content-Type: ${FORM}`, header]
      socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      timer = setInterval(() => {
        sent += chunk.length
        socket.write(chunk)
      }, 10)
    })
    const end = () => {
      clearInterval(timer)
      clearTimeout(late)
      socket.destroy()
    }
    const late = setTimeout(() => {
      end()
      reject(new Error(`${path}: no answer after ${sent} bytes`))
    }, 15_000)
    socket.once('data', (data) => {
      end()
      resolve({ status: String(data).slice(9, 12), sent })
    })
    socket.on('error', () => undefined)
  })
}

describe('S-011 size', () => {
  it.each(FORMS)('S-011 a form of 3 MB to %s is refused within a second', async (path) => {
    const begun = performance.now()
    const answer = await send(path, `x=${'y'.repeat(3_000_000)}`)
    expect([400, 413]).toContain(answer.status)
    expect(performance.now() - begun).toBeLessThan(1000)
  })

  it.each(FORMS)(
    'S-011 %s answers while the body is still on its way, and does not wait for the rest',
    async (path) => {
      const chunk = Buffer.alloc(16 * 1024, 'y')
      // Announced as too long: refused before anything of it is read.
      const announced = await drip(path, 'Content-Length: 30000000', Buffer.from('y'))
      expect([announced.status, announced.sent < 100]).toEqual([expect.stringMatching(/^4(00|13)$/), true])
      // Not announced: refused when the limit is passed.
      const endless = await drip(
        path,
        'Transfer-Encoding: chunked',
        Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
      )
      expect([endless.status, endless.sent < 1_000_000]).toEqual([expect.stringMatching(/^4(00|13)$/), true])
    },
  )

  it('S-011 nothing is unpacked beyond the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(3_000_000, 'y'))
    for (const path of FORMS)
      expect([path, kind(await send(path, bomb, { 'content-encoding': 'gzip' }))]).toEqual([path, '4xx'])
  })

  it('S-011 headers above 16 KiB are refused, in any of their parts', async () => {
    const long = 'a'.repeat(17_000)
    expect((await fetch(`${server.issuer}/jwks`, { headers: { 'x-long': long } })).status).toBe(431)
    expect((await fetch(`${server.issuer}/jwks`, { headers: { cookie: `gatehouse-session=${long}` } })).status).toBe(
      431,
    )
    expect((await fetch(`${server.issuer}/authorize?state=${long}`)).status).toBe(431)
  })

  it('S-011 what is within the limits is taken', async () => {
    expect((await send('/token', `${GRANT}&x=${'y'.repeat(55_000)}`)).status).toBe(200)
    expect((await fetch(`${server.issuer}/jwks`, { headers: { 'x-long': 'a'.repeat(15_000) } })).status).toBe(200)
  })
})

describe('S-012 kind of body', () => {
  it.each(FORMS)('S-012 %s reads forms only', async (path) => {
    const bodies: readonly [string, Body][] = [
      ['application/json', JSON.stringify({ grant_type: 'client_credentials', token: 'x' })],
      ['application/json', GRANT],
      ['text/plain', GRANT],
      ['application/xml', `<${GRANT}/>`],
      [
        'multipart/form-data; boundary=b',
        '--b\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--b--',
      ],
      [`${FORM}x`, GRANT],
    ]
    for (const [type, body] of bodies) {
      const answer = await send(path, body, { 'content-type': type })
      expect([type, kind(answer)]).toEqual([type, '4xx'])
      expect(await answer.text()).not.toMatch(/access_token|"active"/)
    }
  })

  it('S-012 a form is read with and without its charset', async () => {
    for (const type of [FORM, `${FORM};charset=UTF-8`, FORM.toUpperCase()]) {
      expect([type, (await send('/token', GRANT, { 'content-type': type })).status]).toEqual([type, 200])
    }
  })
})
