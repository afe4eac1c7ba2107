import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SAMPLE } from '../apply/sample.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { createOperatorRooms, dumpTables, type OperatorRooms } from '../helpers/operator-rooms.ts'
import { createRun } from './run.ts'

const ORDERS = 'https://orders.example.com'
const ADD_ORDERS = [
  ...['resource', 'add', ORDERS, '--name', 'Orders', '--lifetime', '5m'],
  ...['--scope', 'orders:read=See your orders', '--scope', 'orders:write=Place orders', '--risk', 'orders:write=high'],
]
const ADD_BILLING = [
  ...['client', 'add', 'billing', '--name', 'Billing', '--kind', 'service'],
  ...['--scope', `${ORDERS}=orders:read orders:write`],
]

describe('commands', () => {
  let database: TestDatabase
  let rooms: OperatorRooms
  let run: ReturnType<typeof createRun>
  let folder: string

  beforeEach(async () => {
    database = await createTestDatabase()
    rooms = await createOperatorRooms(database)
    run = createRun(rooms)
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'))
  })
  afterEach(async () => {
    await rooms?.close()
    await database?.drop()
    await rm(folder, { recursive: true, force: true })
  })

  async function done(args: readonly string[], options?: Parameters<typeof run>[1]) {
    const ran = await run(args, options)
    if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.err}`)
    return ran
  }

  describe('client', () => {
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
          scopes: { [ORDERS]: ['orders:read', 'orders:write'] },
          serves: [],
        },
        clients: { billing: { client_secret: expect.stringMatching(/^[\w-]{43}$/) } },
      })
      expect(await rooms.verifySecret('billing', json.clients.billing.client_secret)).toBe(true)
      const entries = await rooms.db.selectFrom('audit_entries').select(['kind', 'actor']).orderBy('id').execute()
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
        ...[
          'client',
          'add',
          'shop',
          '--name',
          'Corner Shop',
          '--kind',
          'web',
          '--auth',
          'private_key_jwt',
          '--jwks',
          jwks,
        ],
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
      expect([await rooms.verifySecret('billing', old), await rooms.verifySecret('billing', fresh)]).toEqual([
        false,
        true,
      ])
      await done([
        'client',
        'add',
        'app',
        '--name',
        'App',
        '--kind',
        'spa',
        '--redirect-uri',
        'https://app.example.com/',
      ])
      expect(await run(['client', 'rotate-secret', 'app'])).toMatchObject({
        code: 1,
        err: expect.stringMatching(/app has no secret/),
      })
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

    it.each(['show', 'rotate-secret', 'disable', 'enable', 'remove'])(
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
  })

  describe('resource', () => {
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
  })

  describe('user', () => {
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
      expect((await done(['user', 'list'])).out).toMatch(
        /^ada@example.com {2}Ada Lovelace {2}user {2}no password yet$/m,
      )
      expect((await done(['user', 'show', 'ada@example.com', '--json'])).json).toEqual(json.user)
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
  })

  it('lists signing keys without their private parts', async () => {
    const { json, out } = await done(['keys', 'list', '--json'])
    expect(json.keys).toHaveLength(2)
    for (const key of json.keys) expect(Object.keys(key)).toEqual(['kid', 'alg', 'created_at'])
    expect(out).not.toMatch(/"(d|privateJwk)"/)
    expect((await done(['keys', 'list'])).out).toMatch(/^KID +ALG +MADE$/m)
  })

  describe('apply', () => {
    it('applies a file twice, the second time without a change', async () => {
      const path = join(folder, 'gatehouse.yaml')
      await writeFile(path, SAMPLE)
      const first = (await done(['apply', path, '--json'])).json
      expect(first).toMatchObject({
        changed: 5,
        resources: {},
        users: { 'ada@example.com': { set_password_url: expect.any(String) } },
      })
      expect(Object.keys(first.clients)).toEqual(['billing', 'shop', 'orders-api'])
      expect(first).not.toHaveProperty('secrets_file')
      expect((await done(['apply', path, '--json'])).json).toMatchObject({ changed: 0, clients: {}, users: {} })
      expect((await done(['apply', path])).out).toMatch(/nothing was changed\.\n$/)
    })

    it('reads standard input, and keeps secrets out of the answer when they go to a file', async () => {
      const secrets = join(folder, 'secrets.json')
      const { json, out } = await done(['apply', '-', '--secrets', secrets, '--json'], { input: SAMPLE })
      expect(json).toMatchObject({ changed: 5, clients: {}, users: {}, secrets_file: secrets })
      const content = JSON.parse(await readFile(secrets, 'utf8'))
      expect(out).not.toContain(content.clients.billing.client_secret)
      expect(out).not.toContain('token=')
    })

    it('tells faults on stderr and prints nothing else', async () => {
      const input = 'clients: [{ id: a, kind: servise }]\nuser: []\n'
      const { code, out, err } = await run(['apply', '-', '--json'], { input })
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toMatch(/^The document has 3 faults:\n {2}clients\[0\]\.name \(line 1\) is missing\n/)
      expect(err).toMatch(/^ {2}user \(line 2\) is not a field of the document; did you mean users\?$/m)
      expect(await run(['apply', join(folder, 'nowhere.yaml')])).toMatchObject({
        code: 1,
        err: expect.stringMatching(/cannot be read: ENOENT/),
      })
    })
  })
})
