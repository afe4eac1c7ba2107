// What HTTP leaves open to two readings, or to any amount (SECURITY S-001, S-011, S-012).
import { deflateSync, gzipSync } from 'node:zlib'
import { basic } from '../helpers/flow.ts'
import { type Heard, speak } from '../helpers/raw-socket.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

const FORM = 'application/x-www-form-urlencoded'
const BODY = 'grant_type=client_credentials'
const FORMS = ['/token', '/introspect', '/revoke', '/par', '/userinfo', '/logout/confirm', '/interaction/x']
const OUR_FORMS = ['/interaction/x/switch', '/set-password', '/admin/setup']

let server: TestServer
let port: number
let host: string
let authorization: string

beforeAll(async () => {
  server = await startTestServer()
  authorization = basic('billing', (await addCast(server)).billing).authorization!
  ;({ host } = new URL(server.issuer))
  port = server.rooms.config.port
})
afterAll(() => server.stop())

const get = (...lines: string[]) => `GET /jwks HTTP/1.1\r\n${[`Host: ${host}`, ...lines].join('\r\n')}\r\n\r\n`
const headed = (path: string, lines: readonly string[], version = '1.1') =>
  `POST ${path} HTTP/${version}\r\n${[`Host: ${host}`, `Authorization: ${authorization}`, ...lines].join('\r\n')}\r\n\r\n`
const chunked = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`

async function post(path: string, body: string | Buffer, ...more: string[]): Promise<Heard> {
  const head = headed(path, [`Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', ...more])
  return speak(port, Buffer.concat([Buffer.from(head), Buffer.from(body)]))
}
const issued = async () =>
  Number((await server.database.pool().query(`select count(*) from audit_entries`)).rows[0].count)

const ambiguous: [string, () => string][] = [
  ['two Host lines that are the same', () => get(`Host: ${host}`)],
  ['two Host lines', () => get('Host: evil.example')],
  [
    'two kinds of body',
    () => headed('/token', [`Content-Type: ${FORM}`, 'Content-Type: text/plain', 'Content-Length: 0']),
  ],
  ['two credentials', () => get('Authorization: Bearer x', 'authorization: Bearer y')],
  [
    'a coding before chunked',
    () => headed('/token', [`Content-Type: ${FORM}`, 'Transfer-Encoding: gzip, chunked']) + chunked,
  ],
  [
    'a coding that is unknown',
    () => headed('/token', [`Content-Type: ${FORM}`, 'Transfer-Encoding: xchunked']) + chunked,
  ],
  [
    'chunked in HTTP/1.0',
    () => headed('/token', [`Content-Type: ${FORM}`, 'Transfer-Encoding: chunked'], '1.0') + chunked,
  ],
  [
    'a length and chunked',
    () => headed('/token', [`Content-Type: ${FORM}`, 'Content-Length: 4', 'Transfer-Encoding: chunked']) + chunked,
  ],
]

it.each(ambiguous)('S-001 %s: 400, the connection ends, and what follows is not read', async (_what, bytes) => {
  const before = await issued()
  const { statuses, end, text } = await speak(port, bytes() + get())
  expect([statuses, end]).toEqual([[400], 'closed'])
  expect(text).toMatch(/connection: close/i)
  expect(text).not.toMatch(/evil|access_token/)
  expect(await issued()).toBe(before)
})

it('S-011 a hundred header lines are read, more are 431', async () => {
  const lines = (times: number) => Array.from({ length: times }, () => 'a: 1')
  expect((await speak(port, get(...lines(97), 'Connection: close'))).statuses).toEqual([200])
  for (const times of [100, 1000])
    expect(await speak(port, get(...lines(times)))).toMatchObject({ statuses: [431], end: 'closed' })
})

it('S-011 a hundred fields are read, more are 400, also where nobody reads them', async () => {
  const fields = (times: number) => Array.from({ length: times }, (_, index) => `&f${index}=`).join('')
  const type = `Content-Type: ${FORM}`
  expect((await post('/token', BODY + fields(99), type)).statuses).toEqual([200])
  for (const path of [...FORMS, ...OUR_FORMS])
    for (const body of [`${BODY}&token=x${fields(120)}`, `${BODY}&token=x${'&a=1'.repeat(10_000)}`])
      expect([path, (await post(path, body, type)).statuses]).toEqual([path, [400]])
  const query = async (times: number) => (await fetch(`${server.issuer}/jwks?${fields(times)}`)).status
  expect([await query(50), await query(101)]).toEqual([200, 400])
})

it.each([...FORMS, ...OUR_FORMS])('S-012 %s takes text in UTF-8, and nothing compressed', async (path) => {
  const utf16 = Buffer.from(BODY, 'utf16le')
  const zeros = Buffer.alloc(3_000_000)
  for (const [body, ...lines] of [
    [utf16, `Content-Type: ${FORM}; charset=utf-16le`],
    [BODY, `Content-Type: ${FORM}; charset=utf-7`],
    [BODY, `Content-Type: ${FORM}; charset="nonsense"`],
    [gzipSync(BODY), `Content-Type: ${FORM}`, 'Content-Encoding: gzip'],
    [gzipSync(zeros), `Content-Type: ${FORM}`, 'Content-Encoding: x-gzip'],
    [deflateSync(zeros), `Content-Type: ${FORM}`, 'Content-Encoding: identity, deflate'],
    [BODY, `Content-Type: ${FORM}`, 'Content-Encoding: nonsense'],
  ] as [string | Buffer, ...string[]][]) {
    const { statuses, first } = await post(path, body, ...lines)
    expect([lines, statuses, first < 1000]).toEqual([lines, [415], true])
  }
})

it('S-012 the charsets that old libraries name are taken for what they have in common with UTF-8', async () => {
  for (const charset of ['UTF-8', '"utf-8"', 'ISO-8859-1', 'us-ascii'])
    expect((await post('/token', BODY, `Content-Type: ${FORM}; charset=${charset}`)).statuses).toEqual([200])
  const plain = ['Content-Encoding: identity', 'Transfer-Encoding: chunked', 'Connection: close']
  expect((await speak(port, headed('/token', [`Content-Type: ${FORM}`, ...plain]) + chunked)).statuses).toEqual([200])
})
