// The resource commands, as text and as one JSON document.
import { ADD_BILLING, ADD_ORDERS, type Commands, eachWithCommands, ORDERS } from './commands.ts'

let run: Commands['run']
let done: Commands['done']
eachWithCommands((commands) => {
  ;({ run, done } = commands)
})

it('adds, lists, shows, and removes when no client names it', async () => {
  expect((await done(['resource', 'list'])).out).toMatch(/^No resources yet/)
  expect((await done([...ADD_ORDERS, '--json'])).json).toEqual({
    resource: {
      id: ORDERS,
      name: 'Orders',
      tokens: { format: 'jwt', sign: 'ES256', lifetime: '5m' },
      scopes: {
        'orders:read': { text: 'See your orders', risk: 'normal', default: true },
        'orders:write': { text: 'Place orders', risk: 'high', default: false },
      },
    },
  })
  expect(await run(ADD_ORDERS)).toMatchObject({ code: 1, err: expect.stringMatching(/already/) })
  expect((await done(['resource', 'list', '--json'])).json.resources).toHaveLength(1)
  expect((await done(['resource', 'show', ORDERS])).out).toMatch(/^orders:write {2}Place orders +high +no$/m)
  await done(ADD_BILLING)
  await done(['client', 'add', 'api', '--name', 'API', '--kind', 'service', '--serves', ORDERS])
  expect(await run(['resource', 'remove', ORDERS, '--yes'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/named by api, billing\./),
  })
  for (const id of ['billing', 'api']) await done(['client', 'remove', id, '--yes'])
  expect(await run(['resource', 'remove', ORDERS])).toMatchObject({ code: 2 })
  expect((await done(['resource', 'remove', ORDERS, '--yes', '--json'])).json).toEqual({
    id: ORDERS,
    removed: true,
  })
  expect(await run(['resource', 'show', ORDERS])).toMatchObject({ code: 1 })
})

it('tells faults in the words of the command line', async () => {
  const { code, err } = await run([
    'resource',
    'add',
    'orders',
    '--name',
    'O',
    '--format',
    'jwe',
    '--lifetime',
    '1y',
    '--scope',
    'openid=x',
  ])
  expect(code).toBe(1)
  for (const why of [
    /^ {2}ID must be an absolute URI/m,
    /^ {2}--format jwe is not in this version/m,
    /^ {2}--lifetime must be/m,
    /^ {2}--scope openid is a scope of OpenID/m,
  ]) {
    expect(err).toMatch(why)
  }
})
