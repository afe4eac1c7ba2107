// Small HTML forms: every field one string, or a refusal.
import Koa from 'koa'
import request from 'supertest'
import { answerErrors } from '../../src/http/answer-errors.ts'
import { field, readForm } from '../../src/http/form.ts'

const FORM = 'application/x-www-form-urlencoded'
const refused: string[] = []

const app = new Koa()
app.use(answerErrors((problem) => void refused.push(problem.message)))
app.use(readForm())
app.use((ctx) => {
  const most = Number(ctx.get('most')) || undefined
  ctx.body = { value: field(ctx, 'name', most) }
})
const server = app.callback()

const send = (body: string, type = FORM, headers: Record<string, string> = {}) =>
  request(server)
    .post('/')
    .set({ accept: 'application/json', 'content-type': type, ...headers })
    .send(body)
const valueIn = async (body: string) => (await send(body).expect(200)).body.value

beforeEach(() => refused.splice(0))

it('reads a field byte for byte', async () => {
  expect(await valueIn('name=Ada+Lovelace%21&other=x')).toBe('Ada Lovelace!')
  expect(await valueIn('name=%E2%9C%93+%26+%3C%22%0D%0A')).toBe('✓ & <"\r\n')
  expect(await valueIn(`name=${'x'.repeat(2048)}`)).toHaveLength(2048)
})

it.each(['', 'other=x', 'name=', 'name', 'NAME=x', ' name=x'])(
  'a field that is not there is empty (%j)',
  async (body) => {
    expect(await valueIn(body)).toBe('')
  },
)

it.each([
  ['given twice', 'name=a&name=b'],
  ['given twice alike', 'name=a&name=a'],
  ['given and left empty', 'name=a&name='],
  ['a list', 'name[]=a'],
  ['nested', 'name[x]=a'],
  ['nested under a word of the language', 'name[length]=1'],
  ['too long', `name=${'x'.repeat(2049)}`],
])('a field that is %s is refused, and the log told which', async (_what, body) => {
  const answer = await send(body)
  expect([answer.status, answer.body.error, refused]).toEqual([400, 'invalid_request', ['field name']])
})

it('the limit is the caller’s to choose', async () => {
  await send('name=abc', FORM, { most: '3' }).expect(200)
  await send('name=abcd', FORM, { most: '3' }).expect(400)
})

it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
  'what is called %s comes to nothing',
  async (name) => {
    expect(await valueIn(`${name}=x`)).toBe('')
    expect(await valueIn(`${name}[name]=x`)).toBe('')
    expect(JSON.stringify((await send(`name[${name}]=x`)).body)).not.toContain('native code')
    expect(({} as Record<string, unknown>).name).toBeUndefined()
  },
)

it.each(['application/json', 'text/plain', 'multipart/form-data; boundary=x', `${FORM}+x`, 'application/x-www-form'])(
  '%s is no form',
  async (type) => {
    const answer = await send(type === 'application/json' ? '{"name":"x"}' : 'name=x', type)
    expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media_type'])
  },
)

it('a form without a type, or without a body, is no form', async () => {
  expect((await request(server).post('/')).status).toBe(415)
})

it('what is too large is refused, just below is read', async () => {
  await send(`name=x&rest=${'y'.repeat(56 * 1024 - 12)}`).expect(200)
  const answer = await send(`name=x&rest=${'y'.repeat(56 * 1024)}`)
  expect([answer.status, answer.body.error]).toEqual([413, 'too_large'])
})
