// The keys commands, as text and as one JSON document.
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { type Commands, eachWithCommands } from './commands.ts'

let { rooms, run, done }: Partial<Commands> & Commands = {} as Commands
eachWithCommands((made) => {
  ;({ rooms, run, done } = made)
})
beforeEach(holdClock)
afterEach(releaseClock)

const HOUR = 3600
interface Shown {
  kid: string
  alg: string
  state: string
  next_step?: { step: string; at: string }
}
const list = async (...more: string[]): Promise<Shown[]> => (await done(['keys', 'list', '--json', ...more])).json.keys
const kidOf = async (alg: string, state: string) =>
  (await list()).find((key) => key.alg === alg && key.state === state)?.kid ?? ''

it('lists signing keys with their states and next steps, without their private parts', async () => {
  const { json, out } = await done(['keys', 'list', '--json'])
  expect(json.keys).toHaveLength(2)
  for (const key of json.keys) {
    expect(Object.keys(key)).toEqual([
      ...['kid', 'alg', 'state', 'created_at', 'published_at', 'activated_at', 'age_seconds'],
    ])
  }
  expect(out).not.toMatch(/"(d|p|q|privateJwk)"/)
  const text = (await done(['keys', 'list'])).out
  expect(text).toMatch(/^KID +ALG +STATE +AGE +NEXT$/m)
  expect(text).toMatch(/^[\w-]{43} +ES256 +active +0 min +-$/m)
})

it('S-022 refuses to activate a key that is not published long enough, says when, and does so then', async () => {
  const early = await run(['keys', 'rotate', '--alg', 'ES256'])
  const next = await kidOf('ES256', 'next')
  expect(early).toMatchObject({ code: 1, out: '' })
  expect(early.err).toMatch(new RegExp(`ES256 ${next} may sign from \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC`))
  const before = await kidOf('ES256', 'active')
  passSeconds(HOUR)
  expect((await done(['keys', 'rotate', '--alg', 'ES256'])).out).toBe(`${next} signs with ES256 from now on.\n`)
  expect((await list()).filter(({ alg }) => alg === 'ES256')).toMatchObject([
    { kid: next, state: 'active', next_step: { step: 'retire' } },
    { state: 'next', next_step: { step: 'activate' } },
    { kid: before, state: 'retiring', next_step: { step: 'remove' } },
  ])
  const text = (await done(['keys', 'list'])).out
  for (const words of ['signs until', 'signs after', 'goes after']) expect(text).toContain(words)
})

it('rotates all algorithms at once', async () => {
  expect(await run(['keys', 'rotate'])).toMatchObject({ code: 1, err: expect.stringMatching(/ES256[\s\S]*RS256/) })
  passSeconds(HOUR)
  const { json } = await done(['keys', 'rotate', '--json'])
  expect(json.steps.map(({ step, alg }: { step: string; alg: string }) => `${step} ${alg}`)).toEqual([
    ...['retired ES256', 'activated ES256', 'retired RS256', 'activated RS256'],
  ])
})

it('takes an old key away when its time is over', async () => {
  const old = await kidOf('ES256', 'active')
  const retire = () => run(['keys', 'retire', old])
  expect(await retire()).toMatchObject({ code: 1, err: expect.stringMatching(/signs tokens[\s\S]*keys rotate/) })
  await run(['keys', 'rotate', '--alg', 'ES256'])
  passSeconds(HOUR)
  await done(['keys', 'rotate', '--alg', 'ES256'])
  expect(await retire()).toMatchObject({ code: 1, err: expect.stringMatching(/may be presented until \d{4}-/) })
  passSeconds(8 * 24 * HOUR)
  expect(await retire()).toMatchObject({ code: 0, out: `${old} is gone.\n` })
  expect((await list()).some(({ kid }) => kid === old)).toBe(false)
  expect((await list('--all')).find(({ kid }) => kid === old)).toMatchObject({ state: 'gone' })
  expect(await retire()).toMatchObject({ code: 1, err: expect.stringMatching(/gone already/) })
})

describe('in an emergency', () => {
  it('S-023 takes a key away at once, after a question', async () => {
    const leaked = await kidOf('RS256', 'active')
    await run(['keys', 'rotate', '--alg', 'RS256'])
    const next = await kidOf('RS256', 'next')
    const retire = (options?: Parameters<typeof run>[1], ...more: string[]) =>
      run(['keys', 'retire', leaked, '--emergency', ...more], options)
    expect(await retire()).toMatchObject({ code: 2, err: expect.stringMatching(/--yes/) })
    expect(await retire({ answers: ['n'] })).toMatchObject({ code: 1 })
    expect(await kidOf('RS256', 'active')).toBe(leaked)
    expect((await retire({}, '--yes', '--json')).json).toEqual({
      ...{ kid: leaked, alg: 'RS256', state: 'gone', successor: next },
    })
    expect(await kidOf('RS256', 'active')).toBe(next)
  })

  it('the last key stays, and the way out is told', async () => {
    const last = await kidOf('RS256', 'active')
    const refused = await run(['keys', 'retire', last, '--emergency', '--yes'])
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/last key[\s\S]*keys rotate/) })
    await run(['keys', 'rotate', '--alg', 'RS256'])
    const { out } = await done(['keys', 'retire', last, '--emergency', '--yes'])
    expect(out).toMatch(/is gone\.\n.* signs with RS256 from now on\.\nIntrospection refuses its tokens/)
  })
})

it('an unknown key, and an unknown algorithm', async () => {
  const known = await kidOf('ES256', 'active')
  const nearly = `${known.slice(0, -1)}!`
  const { code, err } = await run(['keys', 'retire', nearly])
  expect([code, err]).toEqual([1, expect.stringContaining(`did you mean ${known}?`)])
  expect(await run(['keys', 'rotate', '--alg', 'HS256'])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/ES256/),
  })
})

it('tells who did what', async () => {
  await run(['keys', 'rotate', '--alg', 'ES256'])
  passSeconds(HOUR)
  await done(['keys', 'rotate', '--alg', 'ES256'])
  const rows = await rooms.db.selectFrom('audit_entries').select(['kind', 'actor']).orderBy('id').execute()
  // The first keys were the server's act, in whichever database they were made.
  expect(rows.map(({ kind, actor }) => `${kind} ${actor}`).filter((one) => one !== 'key.activated server')).toEqual([
    ...['key.published operator', 'key.retired operator', 'key.activated operator', 'key.published operator'],
  ])
})
