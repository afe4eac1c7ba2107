// Which forms are ours: from our page, in this browser, about this thing.
import { createHmac } from 'node:crypto'
import type Koa from 'koa'
import { createCsrf } from '../../src/http/csrf.ts'
import { Problem } from '../../src/http/problem.ts'

const ORIGIN = 'https://login.example.com'
const hmac = (value: string, key = 'key') => createHmac('sha256', key).update(value).digest()
const hmacs = (value: string): [Buffer] => [hmac(value)]
const csrf = createCsrf({ origin: ORIGIN, secure: true, hmacs })

interface Visit {
  readonly ctx: Koa.Context
  /** cookies that the answer sets */
  readonly set: Record<string, { value: string; options: object }>
}

/** A request of a browser that has these cookies. */
function visit(cookies: Record<string, string> = {}, headers: Record<string, string> = {}): Visit {
  const set: Visit['set'] = {}
  const ctx = {
    get: (name: string) => headers[name.toLowerCase()] ?? '',
    cookies: {
      get: (name: string) => cookies[name],
      set: (name: string, value: string, options: object) => {
        set[name] = { value, options }
      },
    },
  }
  return { ctx: ctx as unknown as Koa.Context, set }
}

const COOKIE = '__Host-gatehouse-form'
function pageFor(subject: string, cookies: Record<string, string> = {}) {
  const { ctx, set } = visit(cookies)
  const token = csrf.issue(ctx, subject)
  return { token, cookies: { [COOKIE]: set[COOKIE]!.value }, options: set[COOKIE]!.options }
}

/** @returns undefined when the form is taken, else what the log is told */
function refusal(
  cookies: Record<string, string>,
  subject: string,
  presented: unknown,
  headers = {},
): string | undefined {
  try {
    csrf.check(visit(cookies, headers).ctx, subject, presented)
    return undefined
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    expect([error.status, error.code]).toEqual([403, 'form_not_ours'])
    return error.message
  }
}

it('a form of our page in the same browser is taken, with and without the headers of a modern browser', () => {
  const { token, cookies } = pageFor('interaction-1')
  expect(refusal(cookies, 'interaction-1', token)).toBeUndefined()
  for (const headers of [
    { origin: ORIGIN, 'sec-fetch-site': 'same-origin' },
    { origin: ORIGIN },
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { origin: 'null', 'sec-fetch-site': 'same-origin' }, // under `Referrer-Policy: no-referrer`
  ])
    expect([headers, refusal(cookies, 'interaction-1', token, headers)]).toEqual([headers, undefined])
})

it.each([
  [{ origin: 'https://evil.example' }],
  [{ origin: 'http://login.example.com' }],
  [{ origin: 'https://login.example.com.evil.example' }],
  [{ origin: 'https://login.example.com:8443' }],
  [{ origin: 'null' }],
  [{ origin: 'null', 'sec-fetch-site': 'cross-site' }],
  [{ origin: ORIGIN, 'sec-fetch-site': 'cross-site' }],
  [{ origin: ORIGIN, 'sec-fetch-site': 'same-site' }],
  [{ 'sec-fetch-site': 'cross-site' }],
  [{ 'sec-fetch-site': 'same-site' }],
])('from elsewhere (%j) it is refused, even with the right token', (headers) => {
  const { token, cookies } = pageFor('x')
  expect(refusal(cookies, 'x', token, headers)).toMatch(/^(Origin|Sec-Fetch-Site) /)
})

it('a token is for one thing and one browser', () => {
  const mine = pageFor('one')
  const other = pageFor('one')
  expect(refusal(mine.cookies, 'two', mine.token)).toMatch(/token/)
  expect(refusal(other.cookies, 'one', mine.token)).toMatch(/token/)
  expect(refusal({}, 'one', mine.token)).toMatch(/token/)
  // What the two are joined by cannot be moved: no subject ends where another begins.
  const joined = `${mine.cookies[COOKIE]}\0one`
  expect(refusal({ [COOKIE]: joined }, '', mine.token)).toMatch(/token/)
})

it.each([undefined, '', 'x', null, 7, [], ['x'], {}])('what is no token (%j) is refused', (presented) => {
  expect(refusal(pageFor('x').cookies, 'x', presented)).toMatch(/token/)
})

it.each(['', 'short', 'x'.repeat(42), 'x'.repeat(44), `${'x'.repeat(42)} `, `${'x'.repeat(42)};`])(
  'a cookie that we did not make (%j) is none: it gets a fresh one, and opens nothing',
  (value) => {
    expect(refusal({ [COOKIE]: value }, 'x', hmac(`${value}\0x`).toString('base64url'))).toMatch(/token/)
    expect(pageFor('x', { [COOKIE]: value }).cookies[COOKIE]).toMatch(/^[\w-]{43}$/)
  },
)

it('one browser keeps one value over all its pages, so that two tabs do not fight', () => {
  const first = pageFor('one')
  const second = pageFor('two', first.cookies)
  expect(second.cookies).toEqual(first.cookies)
  expect(second.token).not.toBe(first.token)
  expect(refusal(second.cookies, 'one', first.token)).toBeUndefined()
  expect(pageFor('one').cookies).not.toEqual(first.cookies)
})

it('the cookie is out of reach for scripts, other sites and, with https, for anything but this host', () => {
  expect(pageFor('x').options).toMatchObject({ httpOnly: true, secure: true, sameSite: 'lax', path: '/' })
  const plain = createCsrf({ origin: 'http://localhost:3000', secure: false, hmacs })
  const { ctx, set } = visit()
  plain.issue(ctx, 'x')
  expect(Object.keys(set)).toEqual(['gatehouse-form'])
  expect(set['gatehouse-form']!.options).toMatchObject({ httpOnly: true, secure: false })
})

it('says to the stranger what to do, not what was wrong', () => {
  try {
    csrf.check(visit({}, { origin: 'https://evil.example' }).ctx, 'x', 'y')
    throw new Error('taken')
  } catch (error) {
    expect((error as Problem).publicText).toMatch(/reload the page/)
    expect((error as Problem).publicText).not.toMatch(/evil|token|Origin/)
  }
})
