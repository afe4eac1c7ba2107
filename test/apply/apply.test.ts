import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { createOperatorRooms, dumpTables, type OperatorRooms } from '../helpers/operator-rooms.ts'
import { SAMPLE } from './sample.ts'

describe('apply', () => {
  let database: TestDatabase
  let rooms: OperatorRooms
  let folder: string

  beforeEach(async () => {
    database = await createTestDatabase()
    rooms = await createOperatorRooms(database)
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-apply-'))
  })
  afterEach(async () => {
    await rooms?.close()
    await database?.drop()
    await rm(folder, { recursive: true, force: true })
  })

  const apply = (text: string, secretsFile?: string) => rooms.apply(text, { actor: 'operator', secretsFile })
  const actions = async (text: string) =>
    (await apply(text)).plan.map(({ object, id, action, fields }) => [object, id, action, ...fields])

  it('makes what the document says, shows secrets and links once, and changes nothing the second time', async () => {
    const first = await apply(SAMPLE)
    expect(first.changed).toBe(5)
    expect(first.plan.map(({ object, id, action }) => `${action} ${object} ${id}`)).toEqual([
      'create resource https://orders.example.com',
      'create client billing',
      'create client shop',
      'create client orders-api',
      'create user ada@example.com',
    ])
    expect(Object.keys(first.secrets.clients)).toEqual(['billing', 'shop', 'orders-api'])
    expect(await rooms.verifySecret('billing', first.secrets.clients.billing?.client_secret ?? '')).toBe(true)
    const url = new URL(first.secrets.users['ada@example.com']?.set_password_url ?? '')
    const ada = await rooms.accounts.inspectSetPasswordLink(url.searchParams.get('token') ?? '')
    expect(ada).toMatchObject({ email: 'ada@example.com', name: 'Ada Lovelace' })

    const before = await dumpTables(rooms)
    const second = await apply(SAMPLE)
    expect(second.changed).toBe(0)
    expect(second.plan.every(({ action }) => action === 'same')).toBe(true)
    expect(second.secrets).toEqual({ clients: {}, resources: {}, users: {} })
    expect(await dumpTables(rooms)).toEqual(before)
  })

  it('tells five faults of a document at once, each with its path, and changes nothing', async () => {
    const before = await dumpTables(rooms)
    const broken = SAMPLE.replace('kind: service', 'kind: servant')
      .replace('lifetime: 10m', 'lifetime: soon')
      .replace('https://shop.example.com/callback', 'javascript:alert(1)')
      .replace('serves: [https://orders.example.com]', 'serves: [https://nowhere.example.com]')
      .replace('ada@example.com', 'ada')
    const fault = await apply(broken).catch((error: unknown) => error)
    expect(fault).toMatchObject({ name: 'OperatorFault', exitCode: 1 })
    expect((fault as Error).message.split('\n').map((line) => line.trim().split(' (line')[0])).toEqual([
      'The document has 5 faults:',
      'resources[0].tokens.lifetime',
      'clients[0].kind',
      'clients[1].redirect_uris[0]',
      'clients[2].serves[0]',
      'users[0].email',
    ])
    expect(await dumpTables(rooms)).toEqual(before)
  })

  it('changes what differs, names the fields, and takes what is not said as the default', async () => {
    await apply(SAMPLE)
    const changed = SAMPLE.replace('lifetime: 10m', 'lifetime: 5m')
      .replace('    refresh: session\n', '    refresh: none\n')
      .replace('    post_logout_redirect_uris: [https://shop.example.com/]\n', '')
      .replace('Ada Lovelace', 'Ada King')
    expect(await actions(changed)).toEqual([
      ['resource', 'https://orders.example.com', 'change', 'tokens'],
      ['client', 'billing', 'same'],
      ['client', 'shop', 'change', 'post_logout_redirect_uris', 'refresh'],
      ['client', 'orders-api', 'same'],
      ['user', 'ada@example.com', 'change', 'name'],
    ])
    expect(await rooms.resources.find('https://orders.example.com')).toMatchObject({ lifetime: 300 })
    expect(await rooms.clients.find('shop')).toMatchObject({ refresh: 'none', postLogoutRedirectUris: [] })
    expect(await rooms.accounts.findByEmail('ada@example.com')).toMatchObject({ name: 'Ada King' })
    expect((await apply(changed)).changed).toBe(0)
  })

  it('notices a new order of scopes, in which the consent page shows them', async () => {
    const scopes = (order: string) => `resources: [{ id: urn:a:b, name: A, scopes: { ${order} } }]`
    await apply(scopes('b: B, a: A'))
    expect(await actions(scopes('a: A, b: B'))).toEqual([['resource', 'urn:a:b', 'change', 'scopes']])
    expect((await rooms.resources.find('urn:a:b'))?.scopes.map(({ name }) => name)).toEqual(['a', 'b'])
  })

  it('leaves what it does not name, and whether a client is disabled, as they are', async () => {
    await apply(SAMPLE)
    await rooms.clients.disable('billing', 'operator')
    const billing = 'clients: [{ id: billing, name: Billing 2, kind: service }]'
    expect(await actions(billing)).toEqual([['client', 'billing', 'change', 'name', 'scopes']])
    expect(await rooms.clients.find('billing')).toMatchObject({ name: 'Billing 2', disabledAt: expect.any(Date) })
    expect((await rooms.clients.list()).map(({ id }) => id)).toEqual(['billing', 'orders-api', 'shop'])
    expect(await rooms.resources.list()).toHaveLength(1)
  })

  it('makes a secret for a client that becomes confidential', async () => {
    const agent = (auth: string) =>
      `clients: [{ id: a, name: A, kind: agent, auth: ${auth}, redirect_uris: [http://127.0.0.1/cb] }]`
    expect((await apply(agent('none'))).secrets.clients).toEqual({})
    const file = join(folder, 'secrets.json')
    await apply(agent('client_secret_basic'), file)
    const secret = JSON.parse(await readFile(file, 'utf8')).clients.a.client_secret
    expect(await rooms.verifySecret('a', secret)).toBe(true)
  })

  it('finds a user under another spelling of the address', async () => {
    await apply(SAMPLE)
    expect(await actions('users: [{ email: ADA@Example.com, name: Ada Lovelace }]')).toEqual([
      ['user', 'ADA@Example.com', 'same'],
    ])
  })

  it('shows the secret of a client whatever its id', async () => {
    const { secrets } = await apply('clients: [{ id: __proto__, name: A, kind: service }]')
    expect(JSON.stringify(secrets.clients)).toMatch(/^\{"__proto__":\{"client_secret":"[\w-]{43}"\}\}$/)
  })

  describe('--secrets', () => {
    const path = () => join(folder, 'secrets.json')

    it('writes secrets and links to a new file that only its owner can read, and not into the result', async () => {
      const result = await apply(SAMPLE, path())
      expect(result).toMatchObject({
        changed: 5,
        secretsFile: path(),
        secrets: { clients: {}, resources: {}, users: {} },
      })
      expect(Object.keys(result.secrets.clients)).toEqual([])
      expect((await stat(path())).mode & 0o777).toBe(0o600)
      const content = JSON.parse(await readFile(path(), 'utf8'))
      expect(content).toEqual({
        clients: Object.fromEntries(
          ['billing', 'shop', 'orders-api'].map((id) => [id, { client_secret: expect.stringMatching(/^[\w-]{43}$/) }]),
        ),
        resources: {},
        users: { 'ada@example.com': { set_password_url: expect.stringMatching(/set-password\?token=/) } },
      })
      expect(await rooms.verifySecret('shop', content.clients.shop.client_secret)).toBe(true)
    })

    it('never overwrites a file, nor what a link points to, and then changes nothing', async () => {
      const before = await dumpTables(rooms)
      await writeFile(path(), 'mine')
      await symlink(join(folder, 'elsewhere'), join(folder, 'link'))
      for (const taken of [path(), join(folder, 'link')]) {
        await expect(apply(SAMPLE, taken)).rejects.toMatchObject({
          message: expect.stringMatching(/never overwritten/),
          exitCode: 1,
        })
      }
      await expect(apply(SAMPLE, join(folder, 'nowhere', 'x'))).rejects.toMatchObject({
        message: expect.stringMatching(/cannot be made/),
      })
      expect(await readFile(path(), 'utf8')).toBe('mine')
      expect(await dumpTables(rooms)).toEqual(before)
    })

    it('leaves the file alone when there is nothing to write, so that the same command can run twice', async () => {
      await apply(SAMPLE, path())
      const content = await readFile(path(), 'utf8')
      expect(await apply(SAMPLE, path())).toMatchObject({ changed: 0 })
      expect(await readFile(path(), 'utf8')).toBe(content)
      await apply(SAMPLE, join(folder, 'unused.json'))
      await expect(stat(join(folder, 'unused.json'))).rejects.toMatchObject({ code: 'ENOENT' })
    })

    it('leaves no file behind when the work fails', async () => {
      // The last statement fails: the account's link cannot be written.
      await database.pool().query('alter table account_links add check (false) not valid')
      const before = await dumpTables(rooms)
      await expect(apply(SAMPLE, path())).rejects.toThrow(/account_links/)
      await expect(stat(path())).rejects.toMatchObject({ code: 'ENOENT' })
      expect(await dumpTables(rooms)).toEqual(before)
    })

    it('is written before the commit, and stays when nobody can be sure that the commit failed', async () => {
      const unsure = await createOperatorRooms(database, {
        applyUnit: (unit) => ({
          ...unit,
          async run(work) {
            await unit.run(work, () => 'roll back')
            throw new Error('connection lost')
          },
        }),
      })
      const failed = unsure.apply(SAMPLE, { actor: 'operator', secretsFile: path() })
      await expect(failed).rejects.toMatchObject({
        message: 'The database did not confirm the changes: connection lost.',
        advice: expect.stringMatching(/another --secrets file/),
      })
      expect(JSON.parse(await readFile(path(), 'utf8')).clients).toHaveProperty('billing')
      await unsure.close()
    })
  })

  it('is all or nothing when two documents are applied at once', async () => {
    const results = await Promise.all([apply(SAMPLE), apply(SAMPLE)])
    expect(results.map(({ changed }) => changed).sort()).toEqual([0, 5])
    expect(await rooms.clients.list()).toHaveLength(3)
  })
})
