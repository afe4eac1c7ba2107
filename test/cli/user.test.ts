// The user commands, as text and as one JSON document.
import { type Commands, eachWithCommands } from './commands.ts'

let rooms: Commands['rooms']
let run: Commands['run']
let done: Commands['done']
eachWithCommands((commands) => {
  ;({ rooms, run, done } = commands)
})

it('adds a person, whose link sets the first password', async () => {
  expect((await done(['user', 'list'])).out).toMatch(/^No users yet/)
  const { json } = await done(['user', 'add', 'ada@example.com', '--name', 'Ada Lovelace', '--json'])
  expect(json.user).toMatchObject({
    id: expect.stringMatching(/^usr_/),
    email: 'ada@example.com',
    has_password: false,
  })
  const token = new URL(json.users['ada@example.com'].set_password_url).searchParams.get('token')
  expect(await rooms.accounts.inspectSetPasswordLink(token ?? '')).toMatchObject({ email: 'ada@example.com' })
  expect(await run(['user', 'add', 'ADA@example.com'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/already/),
  })
  expect(await run(['user', 'add', 'ada'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^ {2}EMAIL must be an email address/m),
  })
  expect((await done(['user', 'list'])).out).toMatch(/^ada@example.com {2}Ada Lovelace {2}user {2}no password yet$/m)
  expect((await done(['user', 'show', 'ada@example.com', '--json'])).json).toEqual({
    ...json.user,
    sessions: [],
    grants: [],
  })
})

it('sets a password from standard input or a prompt', async () => {
  await done(['user', 'add', 'ada@example.com'])
  const set = ['user', 'set-password', 'ada@example.com']
  expect(await run(set, { input: 'never read' })).toMatchObject({ code: 2, err: expect.stringMatching(/--stdin/) })
  expect(await run([...set, '--stdin'], { input: 'short\n' })).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/at least 15/),
  })
  expect(await run([...set, '--stdin'], { input: '\n' })).toMatchObject({
    code: 1,
    err: expect.stringMatching(/empty/),
  })
  expect((await done([...set, '--stdin', '--json'], { input: 'quiet lanterns over umbria\r\n' })).json).toEqual({
    email: 'ada@example.com',
    changed: true,
  })
  expect(await rooms.accounts.authenticate('ada@example.com', 'quiet lanterns over umbria')).toMatchObject({
    ok: true,
  })
  const prompted = await done(set, { answers: ['nine herons left at dusk'] })
  expect(prompted.out + prompted.err).not.toContain('herons')
  expect(await rooms.accounts.authenticate('ada@example.com', 'nine herons left at dusk')).toMatchObject({
    ok: true,
  })
  expect(await run(['user', 'set-password', 'adda@example.com', '--stdin'], { input: 'x' })).toMatchObject({
    code: 1,
    err: expect.stringMatching(/did you mean ada@example.com\?/),
  })
})

it('disables, enables, and makes a link for an administrator', async () => {
  await done(['user', 'add', 'ada@example.com'])
  await done(['user', 'disable', 'ada@example.com'])
  expect(await rooms.accounts.findByEmail('ada@example.com')).toHaveProperty('disabledAt')
  await done(['user', 'enable', 'ada@example.com'])
  expect(await rooms.accounts.findByEmail('ada@example.com')).not.toHaveProperty('disabledAt')
  const { json } = await done(['user', 'admin-link', '--json'])
  expect(await rooms.accounts.inspectAdminLink(new URL(json.url).searchParams.get('token') ?? '')).toBe(true)
})

it('makes a link for whoever forgot a password; the last one is good, and the password stays until it is used', async () => {
  await done(['user', 'add', 'ada@example.com'])
  const tokens: string[] = []
  for (const _ of [1, 2]) {
    const { json } = await done(['user', 'password-link', 'ada@example.com', '--json'])
    tokens.push(new URL(json.users['ada@example.com'].set_password_url).searchParams.get('token') ?? '')
  }
  const known = await Promise.all(tokens.map((token) => rooms.accounts.inspectSetPasswordLink(token)))
  expect(known.map(Boolean)).toEqual([false, true])
  expect(await run(['user', 'password-link', 'adda@example.com'])).toMatchObject({ code: 1 })
})
