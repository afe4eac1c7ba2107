import { OperatorFault } from '../../src/vocabulary/fault.ts'
import { createRun } from './run.ts'

const run = createRun(undefined)

const COMMANDS = [
  'start',
  'status',
  'migrate',
  'apply',
  ...['add', 'list', 'show', 'secrets', 'rotate-secret', 'revoke-secret', 'disable', 'enable', 'remove'].map(
    (name) => `client ${name}`,
  ),
  ...['add', 'list', 'show', 'remove'].map((name) => `resource ${name}`),
  ...['add', 'list', 'show', 'disable', 'enable', 'set-password', 'password-link', 'admin-link'].map(
    (name) => `user ${name}`,
  ),
  ...['list', 'rotate', 'retire'].map((name) => `keys ${name}`),
  'revoke',
  'rekey',
  'try m2m',
  'try login',
]

describe('the command line', () => {
  it.each(COMMANDS)('explains %s with an example, and does nothing', async (command) => {
    const { code, out, err } = await run([...command.split(' '), '--help'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain(`Usage: npx --no gatehouse ${command}`)
    expect(out).toMatch(new RegExp(`Examples?:\\n {2}npx --no gatehouse ${command}`))
    expect(out).toContain('--json')
  })

  it('lists every command in its help, as text and as JSON', async () => {
    const { code, out } = await run(['--help'])
    expect(code).toBe(0)
    for (const command of new Set(COMMANDS.map((name) => name.split(' ')[0]))) expect(out).toContain(`  ${command} `)
    expect((await run(['--help', '--json'])).json).toEqual({ help: out })
    expect((await run(['help', 'client'])).out).toContain('rotate-secret')
  })

  it('prints its version everywhere', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: '1.2.3\n', err: '' })
    expect(await run(['client', 'add', '-V'])).toMatchObject({ code: 0, out: '1.2.3\n' })
    expect((await run(['--json', '--version'])).json).toEqual({ version: '1.2.3' })
  })

  it.each([
    [[], /Usage/],
    [['clinet'], /unknown command 'clinet'\s+\(Did you mean client\?\)/],
    [['client'], /Usage/],
    [['client', 'lst'], /unknown command 'lst'\s+\(Did you mean list\?\)/],
    [['client', 'list', '--jsno'], /unknown option '--jsno'\s+\(Did you mean --json\?\)/],
    [['client', 'list', 'extra'], /too many arguments/],
    [['client', 'show'], /missing required argument 'id'/],
    [['client', 'add', 'x', '--name', 'X'], /required option '--kind <kind>'/],
    [['client', 'add', 'x', '--name'], /argument missing/],
    [['apply'], /missing required argument 'file'/],
    [['apply', 'a', 'b'], /too many arguments/],
    [['start', '--port', '1'], /unknown option '--port'/],
    [['--json', 'revoke', '--token', '--session', 's'], /cannot be combined/],
    [
      ['client', 'add', 'x', '--name', 'X', '--kind', 'service', '--scope', 'orders:read'],
      /is not "resource=scope scope"/,
    ],
  ])('says what is wrong with %j and exits with 2', async (args, why) => {
    const { code, out, err } = await run(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(why)
    expect(await run([...args, '--json'])).toMatchObject({ code: 2, out: '' })
  })

  it.each([
    [['user', 'set-password', 'ada@example.com', 'hunter2-hunter2']],
    [['user', 'set-password', 'ada@example.com', '--password', 'hunter2-hunter2']],
    [['user', 'set-password', 'ada@example.com', '--password=hunter2-hunter2']],
    [['user', 'add', 'ada@example.com', '--password', 'hunter2-hunter2']],
    [['client', 'add', 'x', '--secret=hunter2-hunter2']],
    [['client', 'add', 'x', '--client-secret', 'hunter2-hunter2']],
  ])('refuses a secret in %j, does not repeat it, and names standard input', async (args) => {
    const { code, out, err } = await run(args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/--stdin/)
    expect(err).not.toContain('hunter2')
  })

  it('shows an operator what happened and what to do, and exits with the code of the fault', async () => {
    const failing = (exitCode: 1 | 2) => ({
      status: () => Promise.reject(new OperatorFault('Port 3000 is in use.', 'Stop it, or set PORT.', { exitCode })),
    })
    expect(await run(['status', '--json'], { parts: failing(1) })).toMatchObject({
      code: 1,
      out: '',
      err: 'Port 3000 is in use.\nStop it, or set PORT.\n',
    })
    expect((await run(['status'], { parts: failing(2) })).code).toBe(2)
  })

  it('shows a fault of its own with its stack and exits with 1', async () => {
    const { code, out, err } = await run(['status'])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/^Gatehouse failed: Error: must not be called\n {4}at /)
  })

  it('hands options to start and tells stories', async () => {
    const given: unknown[] = []
    const parts = { start: async (options: unknown) => void given.push(options) }
    await run(['start'], { parts })
    await run(['start', '--no-demo', '--json'], { parts })
    await run(['start', '--demo'], { parts })
    expect(given).toEqual([{ json: false }, { json: true, demo: false }, { json: false, demo: true }])

    const tryLogin = async ({ say, yes, browser }: { say: (line: string) => void; yes: boolean; browser: boolean }) => {
      say('Once upon a time')
      return { ok: true, yes, browser }
    }
    expect(await run(['try', 'login', '--browser'], { parts: { tryLogin } })).toMatchObject({
      out: 'Once upon a time\n',
    })
    expect((await run(['try', 'login', '--yes', '--json'], { parts: { tryLogin } })).json).toEqual({
      ok: true,
      yes: true,
      browser: false,
    })
  })

  it('reports status and migrations as text and JSON', async () => {
    const report = { issuer: 'http://localhost:3000', running: false, data_folder: undefined, signing_keys: ['a', 'b'] }
    const parts = { status: async () => report, migrate: async () => ({ applied: ['0001-key-ring'], newer: [] }) }
    expect(await run(['status'], { parts })).toMatchObject({
      out: 'issuer        http://localhost:3000\nrunning       no\nsigning keys  a\n              b\n',
    })
    expect((await run(['status', '--json'], { parts })).json).toEqual({ ...report })
    expect((await run(['migrate'], { parts })).out).toBe('Applied 0001-key-ring.\n')
    expect((await run(['migrate', '--json'], { parts })).json).toEqual({ applied: ['0001-key-ring'], newer: [] })
  })
})
