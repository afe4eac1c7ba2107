// What becomes of a failure: help for the caller, the truth for the log, and nothing of one in the other.
import Koa from 'koa'
import request from 'supertest'
import { answerErrors, isDatabaseOutage } from '../../src/http/answer-errors.ts'
import { Problem } from '../../src/http/problem.ts'

const HTML = 'text/html,application/xhtml+xml'
const told: Problem[] = []

/** An application whose only handler does this. */
function serving(work: Koa.Middleware) {
  const app = new Koa()
  app.use((ctx, next) => {
    ctx.state.requestId = 'the-id'
    return next()
  })
  app.use(answerErrors((problem) => void told.push(problem)))
  app.use(work)
  return app.callback()
}
const failing = (error: unknown) =>
  serving(() => {
    throw error
  })
const get = (app: ReturnType<typeof serving>, accept = 'application/json') =>
  request(app).get('/x').set('accept', accept)

beforeEach(() => told.splice(0))

describe('a fault of ours', () => {
  const cause = new Error('select secret from vault where key = 7')

  it('is a 500 that says nothing but its id, to programs and to people', async () => {
    const json = await get(failing(cause)).expect(500)
    expect(json.body).toEqual({ error: 'server_error', error_description: expect.any(String), request_id: 'the-id' })
    const page = await get(failing(cause), HTML).expect(500).expect('content-type', /html/)
    expect(page.text).toContain('the-id')
    for (const { text } of [json, page]) expect(text).not.toMatch(/secret|vault|select|at .*\.ts/)
    expect(told.map((problem) => problem.cause)).toEqual([cause, cause])
    expect([json, page].map(({ headers }) => headers['cache-control'])).toEqual(['no-store', 'no-store'])
  })

  it.each([undefined, null, 'text', 7, {}, { status: 200 }, { status: 502 }, { status: '404' }])(
    'is one whatever was thrown: %j',
    async (thrown) => {
      const { body } = await get(failing(thrown)).expect(500)
      expect(body.error).toBe('server_error')
      expect(told[0]!.cause).toBe(thrown)
    },
  )

  it('takes back what was prepared for the answer that never came about', async () => {
    const app = serving((ctx) => {
      ctx.redirect('https://shop.example.com/callback?code=gth_ac_x')
      ctx.cookies.set('session', 'x')
      ctx.body = { access_token: 'gth_at_x' }
      throw cause
    })
    for (const accept of ['application/json', HTML]) {
      const answer = await get(app, accept).expect(500)
      expect([answer.headers.location, answer.headers['set-cookie']]).toEqual([undefined, undefined])
      expect(answer.text).not.toContain('gth_')
    }
  })
})

describe('a refusal', () => {
  it('says its public text and has its headers; its detail is for the log', async () => {
    const problem = new Problem(405, 'method_not_allowed', 'Use POST.', {
      detail: 'private',
      headers: { Allow: 'POST' },
    })
    const answer = await get(failing(problem)).expect(405).expect('allow', 'POST')
    expect(answer.body).toEqual({ error: 'method_not_allowed', error_description: 'Use POST.', request_id: 'the-id' })
    const page = await get(failing(problem), HTML).expect(405)
    expect(page.text).toContain('Use POST.')
    expect(answer.text + page.text).not.toContain('private')
    expect(told).toEqual([problem, problem])
  })

  it('of a library keeps its status, and not its words', async () => {
    const { body } = await get(failing(Object.assign(new Error('internal words'), { status: 415 }))).expect(415)
    expect(body).toMatchObject({ error: 'invalid_request', error_description: expect.not.stringMatching(/internal/) })
    expect((await get(failing(Object.assign(new Error('big'), { status: 413 }))).expect(413)).body.error).toBe(
      'too_large',
    )
  })

  it('escapes what it repeats', async () => {
    const { text } = await get(failing(new Problem(400, 'x', 'Not "><svg onload=1>')), HTML).expect(400)
    expect(text).toContain('&lt;svg onload=1&gt;')
    expect(text).not.toContain('<svg onload')
  })
})

it('nothing at an address is a 404 of ours; an answer without a body is left alone', async () => {
  expect((await get(serving(() => undefined)).expect(404)).body.error).toBe('not_found')
  const own = serving((ctx) => {
    ctx.status = 404
    ctx.body = 'ours'
  })
  expect((await get(own).expect(404)).text).toBe('ours')
  const empty = serving((ctx) => {
    ctx.status = 204
  })
  await get(empty).expect(204)
  expect(told).toHaveLength(1)
})

it.each([
  ['application/json', 'json'],
  ['*/*', 'json'],
  ['', 'json'],
  ['image/png', 'json'],
  [HTML, 'html'],
  ['text/*', 'html'],
  ['application/json;q=0.5, text/html', 'html'],
])('who accepts %j is answered in %s', async (accept, kind) => {
  const { headers } = await get(failing(new Problem(400, 'x', 'Y.')), accept).expect(400)
  expect(headers['content-type']).toContain(kind)
})

describe('a database that is away, or too busy', () => {
  const withCode = (code: string) => Object.assign(new Error('x'), { code })
  const away = [
    ...[
      '08006',
      '08P01',
      '57P01',
      '57P02',
      '57P03',
      '53300',
      '55P03',
      '57014',
      '40001',
      '40P01',
      'ECONNREFUSED',
      'ECONNRESET',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'ENOTFOUND',
      'EAI_AGAIN',
      'ENOENT',
      'EPIPE',
    ].map(withCode),
    new Error('timeout exceeded when trying to connect'),
    new Error('Connection terminated unexpectedly'),
    new Error('outer', { cause: new Error('inner', { cause: withCode('08003') }) }),
  ]
  const refusing = [
    ...['23505', '42P01', '22P05', '25P02', '28P01', '108006'].map(withCode),
    new Error('select failed'),
    new Error('outer', { cause: 'ECONNREFUSED' }),
    'ECONNREFUSED',
    undefined,
  ]

  it('is told from one that refuses what we ask', () => {
    expect(away.filter((error) => !isDatabaseOutage(error))).toEqual([])
    expect(refusing.filter((error) => isDatabaseOutage(error))).toEqual([])
  })

  it('is a 503 that asks to come again, for it is worth trying', async () => {
    const { body } = await get(failing(away[0])).expect(503).expect('retry-after', /^\d+$/)
    expect(body.error).toBe('temporarily_unavailable')
    await get(failing(refusing[0])).expect(500)
  })
})
