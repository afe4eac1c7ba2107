// The client commands, as text and as one JSON document.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dumpTables } from '../helpers/operator-rooms.ts'
import { ADD_BILLING, ADD_ORDERS, type Commands, eachWithCommands, ORDERS } from './commands.ts'

let rooms: Commands['rooms']
let run: Commands['run']
let folder: Commands['folder']
let done: Commands['done']
eachWithCommands((commands) => {
  ;({ rooms, run, folder, done } = commands)
})

it('adds a client under the rules of a document and shows its secret once', async () => {
  await done(ADD_ORDERS)
  const { json } = await done([...ADD_BILLING, '--json'])
  expect(json).toEqual({
    client: {
      id: 'billing',
      name: 'Billing',
      kind: 'service',
      auth: 'client_secret_basic',
      first_party: false,
      redirect_uris: [],
      post_logout_redirect_uris: [],
      response_modes: ['query'],
      refresh: 'none',
      require_par: false,
      dpop: 'optional',
      scopes: { [ORDERS]: ['orders:read', 'orders:write'] },
      serves: [],
    },
    clients: { billing: { client_secret: expect.stringMatching(/^[\w-]{43}$/) } },
  })
  expect(await rooms.verifySecret('billing', json.clients.billing.client_secret)).toBe(true)
  const entries = await rooms.db
    .selectFrom('audit_entries')
    .select(['kind', 'actor'])
    .where('kind', '<>', 'key.activated')
    .orderBy('id')
    .execute()
  expect(entries).toEqual(['resource.added', 'client.added'].map((kind) => ({ kind, actor: 'operator' })))
})

it('takes every option', async () => {
  await done(ADD_ORDERS)
  const jwks = join(folder, 'jwks.json')
  const { publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  await writeFile(
    jwks,
    JSON.stringify({ keys: [{ ...(await crypto.subtle.exportKey('jwk', publicKey)), key_ops: undefined }] }),
  )
  const { json } = await done([
    ...['client', 'add', 'shop', '--name', 'Corner Shop', '--kind', 'web', '--auth', 'private_key_jwt', '--jwks', jwks],
    ...['--redirect-uri', 'https://shop.example.com/a', '--redirect-uri', 'https://shop.example.com/b'],
    ...['--post-logout-redirect-uri', 'https://shop.example.com/', '--response-mode', 'form_post', '--first-party'],
    ...['--refresh', 'none', '--serves', ORDERS, '--scope', `${ORDERS}=orders:read`, '--json'],
  ])
  expect(json.clients).toEqual({})
  expect(json.client).toMatchObject({
    first_party: true,
    redirect_uris: ['https://shop.example.com/a', 'https://shop.example.com/b'],
    post_logout_redirect_uris: ['https://shop.example.com/'],
    response_modes: ['form_post'],
    refresh: 'none',
    serves: [ORDERS],
  })
  expect(await rooms.clients.find('shop')).toMatchObject({ authMethod: 'private_key_jwt', firstParty: true })
})

it('tells all faults in the words of the command line, and adds nothing', async () => {
  const before = await dumpTables(rooms)
  const { code, out, err } = await run([
    ...['client', 'add', 'usr_1', '--name', 'Shop', '--kind', 'web', '--redirect-uri', 'javascript:alert(1)'],
    ...['--scope', `${ORDERS}=orders:read`, '--refresh', 'always', '--json'],
  ])
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(/^ {2}ID must not begin with usr_/m)
  expect(err).toMatch(/^ {2}--refresh must be one of none, session, offline$/m)
  expect(err).toMatch(/^ {2}--redirect-uri \[0\] has the scheme javascript:/m)
  expect(err).toMatch(/^ {2}--scope \["https:\/\/orders.example.com"\] names a resource that does not exist/m)
  expect(await dumpTables(rooms)).toEqual(before)
})

it('refuses an id that is taken', async () => {
  await done(ADD_ORDERS)
  await done(ADD_BILLING)
  expect(await run(ADD_BILLING)).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/a client "billing" already/),
  })
})

it('S-068 lists and shows clients without their secrets', async () => {
  expect((await done(['client', 'list'])).out).toMatch(
    /^No clients yet\. Add the first one:\n {2}npx --no gatehouse client add/,
  )
  expect((await done(['client', 'list', '--json'])).json).toEqual({ clients: [] })
  await done(ADD_ORDERS)
  const secret: string = (await done([...ADD_BILLING, '--json'])).json.clients.billing.client_secret
  const list = await done(['client', 'list'])
  expect(list.out).toMatch(
    /^ID {7}NAME {5}KIND {5}AUTH {17}STATE\nbilling {2}Billing {2}service {2}client_secret_basic {2}enabled\n$/,
  )
  const asJson = await done(['client', 'list', '--json'])
  expect(asJson.json.clients).toEqual([expect.objectContaining({ id: 'billing', disabled: false })])
  const shown = await done(['client', 'show', 'billing', '--json'])
  expect(shown.json).toMatchObject({
    id: 'billing',
    disabled: false,
    secrets: [{ created_at: expect.any(String) }],
  })
  const text = await done(['client', 'show', 'billing'])
  expect(text.out).toMatch(/^scopes +https:\/\/orders.example.com: orders:read orders:write$/m)
  for (const { out } of [list, asJson, shown, text]) expect(out).not.toContain(secret)
})

it('rotates a secret; the old one stops', async () => {
  await done(ADD_ORDERS)
  const old: string = (await done([...ADD_BILLING, '--json'])).json.clients.billing.client_secret
  const fresh: string = (await done(['client', 'rotate-secret', 'billing', '--json'])).json.clients.billing
    .client_secret
  expect([await rooms.verifySecret('billing', old), await rooms.verifySecret('billing', fresh)]).toEqual([false, true])
  expect((await done(['client', 'rotate-secret', 'billing'])).out).toMatch(
    /^billing has a new secret; the old one no longer works\.\n\nIts secret, shown this once:\n\n {2}[\w-]{43}\n$/,
  )
  await done(['client', 'add', 'app', '--name', 'App', '--kind', 'spa', '--redirect-uri', 'https://app.example.com/'])
  expect(await run(['client', 'rotate-secret', 'app'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/app has no secret/),
  })
})

it('S-070 rotates with an overlap, names secrets, lists them, and ends one', async () => {
  await done(ADD_ORDERS)
  const old: string = (await done([...ADD_BILLING, '--json'])).json.clients.billing.client_secret
  const rotate = ['client', 'rotate-secret', 'billing', '--overlap', '1h', '--name', 'Autumn', '--expires', '90d']
  const { json } = await done([...rotate, '--json'])
  const fresh: string = json.clients.billing.client_secret
  expect(json.secret).toEqual({
    id: expect.any(String),
    name: 'Autumn',
    created_at: expect.any(String),
    expires_at: expect.any(String),
  })
  const hours = (time: string) => Math.round((Date.parse(time) - Date.now()) / 3_600_000)
  expect([hours(json.old_secrets_end), hours(json.secret.expires_at)]).toEqual([1, 90 * 24])
  expect([await rooms.verifySecret('billing', old), await rooms.verifySecret('billing', fresh)]).toEqual([true, true])
  const listed = (await done(['client', 'secrets', 'billing', '--json'])).json.secrets
  expect(listed).toMatchObject([json.secret, { expires_at: json.old_secrets_end }])
  const text = (await done(['client', 'secrets', 'billing'])).out
  expect(text).toMatch(/^ID +NAME +MADE +ENDS +LAST USED\n[\w-]{36} +Autumn .*not yet\n[\w-]{36} +- .*not yet\n$/)
  const shown = (await done(['client', 'show', 'billing'])).out
  expect(shown).toMatch(/^secrets +2 in use, the next one ends 20/m)
  for (const out of [text, shown]) for (const secret of [old, fresh]) expect(out).not.toContain(secret)

  await done(['client', 'revoke-secret', 'billing', listed[1].id])
  expect([await rooms.verifySecret('billing', old), await rooms.verifySecret('billing', fresh)]).toEqual([false, true])
  expect(await run(['client', 'revoke-secret', 'billing', listed[1].id])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/billing has no secret "/),
  })
  const last = ['client', 'revoke-secret', 'billing', json.secret.id]
  expect(await run(last)).toMatchObject({ code: 2, err: expect.stringMatching(/Add --yes/) })
  expect(await rooms.verifySecret('billing', fresh)).toBe(true)
  expect((await done([...last, '--yes', '--json'])).json).toMatchObject({ revoked: true })
  expect(await rooms.verifySecret('billing', fresh)).toBe(false)
})

it.each([
  [['--overlap', '1'], /--overlap must be a whole number and a unit/],
  [['--expires', 'soon'], /--expires must be/],
  [['--name', ''], /--name is empty/],
  [['--name', 'a\nb'], /--name must be one line of plain text/],
])('rotate-secret refuses %j and changes nothing', async (options, told) => {
  await done(ADD_ORDERS)
  const old: string = (await done([...ADD_BILLING, '--json'])).json.clients.billing.client_secret
  expect(await run(['client', 'rotate-secret', 'billing', ...options])).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringMatching(told),
  })
  expect(await rooms.verifySecret('billing', old)).toBe(true)
})

it('disables and enables', async () => {
  await done(ADD_ORDERS)
  await done(ADD_BILLING)
  expect((await done(['client', 'disable', 'billing', '--json'])).json).toEqual({
    id: 'billing',
    disabled: true,
    changed: true,
  })
  expect((await done(['client', 'disable', 'billing', '--json'])).json).toMatchObject({ changed: false })
  expect((await done(['client', 'list'])).out).toMatch(/disabled\n$/)
  expect((await done(['client', 'enable', 'billing'])).out).toBe('billing is enabled.\n')
  expect((await done(['client', 'enable', 'billing'])).out).toBe('billing was enabled already.\n')
})

it.each(['show', 'rotate-secret', 'secrets', 'disable', 'enable', 'remove'])(
  '%s says which client was meant',
  async (name) => {
    await done(ADD_ORDERS)
    await done(ADD_BILLING)
    const { code, out, err } = await run(['client', name, 'biling', '--json'])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(/There is no client "biling"; did you mean billing\?/)
  },
)

it('removes only after a yes', async () => {
  await done(ADD_ORDERS)
  await done(ADD_BILLING)
  expect(await run(['client', 'remove', 'billing'])).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringMatching(/Add --yes/),
  })
  const asked = await run(['client', 'remove', 'billing'], { answers: [''] })
  expect(asked).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^Remove billing \(Billing\) and end all its tokens\? \[y\/N\]/),
  })
  expect(await rooms.clients.find('billing')).toBeDefined()
  const json = await done(['client', 'remove', 'billing', '--json'], { answers: ['y'] })
  expect(json.json).toEqual({ id: 'billing', removed: true })
  expect(await rooms.clients.find('billing')).toBeUndefined()
  await done(ADD_BILLING)
  await done(['client', 'remove', 'billing', '--yes'])
  expect(await rooms.clients.list()).toEqual([])
})
