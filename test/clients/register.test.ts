import { createAudit } from '../../src/audit/append.ts'
import type { ClientFields } from '../../src/clients/client.ts'
import { createClientRegister } from '../../src/clients/register.ts'
import { createClientSecretStore } from '../../src/clients/secret-store.ts'
import { createSecretUse } from '../../src/clients/secret-use.ts'
import { addSecret, listSealedSecrets, openSecret, resealSecrets, verifySecret } from '../../src/clients/secrets.ts'
import { createClientStore } from '../../src/clients/store.ts'
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { holding } from '../helpers/holding.ts'

const billing: ClientFields = {
  id: 'billing',
  name: 'Billing service',
  kind: 'service',
  authMethod: 'client_secret_basic',
  firstParty: false,
  redirectUris: [],
  postLogoutRedirectUris: [],
  responseModes: ['query'],
  requirePar: false,
  dpop: 'optional',
  refresh: 'none',
  scopes: { 'https://orders.example.com': ['orders:read'] },
  serves: [],
}
const jwks = { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] }

describe('clients', () => {
  let database: TestDatabase
  let rooms: ReturnType<typeof createRooms>

  function createRooms() {
    const { db, close } = connect(database.connection)
    const unit = createUnitOfWork(db)
    let time = new Date('2026-01-01T00:00:00Z')
    const now = () => time
    const store = createClientStore({ unit, now })
    const secrets = { store: createClientSecretStore({ unit }), ring: createKeyRing(makeRingKeys()), now }
    const ended: string[] = []
    const register = createClientRegister({
      unit,
      store,
      secrets,
      now,
      audit: createAudit({ unit, now, requestId: () => undefined }),
      noteEnd: async (id, _epoch, reason) => void ended.push(`${id} ${reason}`),
    })
    const verify = async (id: string, presented: string) => (await verifySecret(secrets, id, presented)) !== undefined
    const passTo = (at: string) => {
      time = new Date(at)
    }
    return { db, close, unit, store, secrets, register, verify, ended, passTo, now }
  }

  beforeAll(async () => {
    database = await createTestDatabase()
    rooms = createRooms()
  })
  afterAll(async () => {
    await rooms?.close()
    await database?.drop()
  })
  beforeEach(async () => {
    await rooms.db.deleteFrom('clients').execute()
    await rooms.db.deleteFrom('audit_entries').execute()
    rooms.ended.length = 0
  })

  async function addBilling(fields: ClientFields = billing): Promise<string> {
    const added = await rooms.register.add(fields, 'operator')
    if (!added.ok || added.secret === undefined) throw new Error('not added')
    return added.secret
  }

  const auditKinds = async () =>
    (await rooms.db.selectFrom('audit_entries').select('kind').orderBy('id').execute()).map(({ kind }) => kind)

  it('comes back from its row as it went in', async () => {
    const shop: ClientFields = {
      ...billing,
      id: 'shop',
      kind: 'web',
      authMethod: 'private_key_jwt',
      firstParty: true,
      redirectUris: ['https://shop.example.com/cb', 'https://shop.example.com/cb2'],
      postLogoutRedirectUris: ['https://shop.example.com/'],
      responseModes: ['query', 'form_post'],
      refresh: 'session',
      serves: ['https://orders.example.com'],
      jwks,
    }
    await rooms.register.add(shop, 'operator')
    await addBilling()
    expect(await rooms.store.find('shop')).toEqual({ ...shop, createdAt: rooms.now(), epoch: expect.any(String) })
    expect((await rooms.store.list()).map(({ id }) => id)).toEqual(['billing', 'shop'])
    expect(await rooms.store.find('nobody')).toBeUndefined()
  })

  it('S-068 makes secrets of 256 bits, opens with them, and keeps only keyed hashes', async () => {
    const secret = await addBilling()
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
    expect(await rooms.verify('billing', secret)).toBe(true)
    expect(await rooms.verify('billing', `${secret}x`)).toBe(false)
    expect(await rooms.verify('nobody', secret)).toBe(false)
    const rows = await rooms.db.selectFrom('client_secrets').selectAll().execute()
    expect(rows).toHaveLength(1)
    const everything = JSON.stringify([
      rows.map((row) => ({ ...row, hash: row.hash!.toString('latin1') })),
      await rooms.db.selectFrom('audit_entries').selectAll().execute(),
      await rooms.store.list(),
    ])
    expect(everything).not.toContain(secret)
    expect(rows[0]?.hash?.includes(Buffer.from(secret, 'base64url'))).toBe(false)
  })

  it('binds a secret to its client: a row that is moved to another client opens nothing', async () => {
    const secret = await addBilling()
    await addBilling({ ...billing, id: 'other' })
    await rooms.db.updateTable('client_secrets').set({ client_id: 'other' }).execute()
    expect(await rooms.verify('other', secret)).toBe(false)
  })

  it('checks every live secret, and none that has expired', async () => {
    await addBilling()
    const { secret: second } = await addSecret(rooms.secrets, billing)
    expect(await rooms.verify('billing', second)).toBe(true)
    const { secret: expiring } = await addSecret(rooms.secrets, billing)
    await rooms.db
      .updateTable('client_secrets')
      .set({ expires_at: new Date('2026-02-01') })
      .execute()
    expect(await rooms.verify('billing', expiring)).toBe(true)
    rooms.passTo('2026-02-01T00:00:00Z')
    expect(await rooms.verify('billing', expiring)).toBe(false)
    rooms.passTo('2026-01-01T00:00:00Z')
  })

  it('refuses a second client of the same id and leaves the first as it is', async () => {
    const secret = await addBilling()
    expect(await rooms.register.add({ ...billing, name: 'Impostor' }, 'operator')).toEqual({
      ok: false,
      reason: 'taken',
    })
    expect(await rooms.store.find('billing')).toMatchObject({ name: 'Billing service' })
    expect(await rooms.verify('billing', secret)).toBe(true)
    expect(await auditKinds()).toEqual(['client.added'])
  })

  it('S-079 is refused by the table itself when the id could be that of a person', async () => {
    await expect(rooms.store.insert({ ...billing, id: 'usr_1' })).rejects.toThrow(/clients_id_check/)
  })

  it('rotates a secret: the old one stops at once', async () => {
    const old = await addBilling()
    const rotated = await rooms.register.rotateSecret('billing', 'operator')
    if (!rotated.ok) throw new Error(rotated.reason)
    expect(await rooms.verify('billing', old)).toBe(false)
    expect(await rooms.verify('billing', rotated.secret)).toBe(true)
    expect(await rooms.register.rotateSecret('nobody', 'operator')).toEqual({ ok: false, reason: 'unknown' })
    await rooms.register.add({ ...billing, id: 'keyed', authMethod: 'private_key_jwt', jwks }, 'operator')
    expect(await rooms.register.rotateSecret('keyed', 'operator')).toEqual({ ok: false, reason: 'no-secret' })
  })

  it('leaves one live secret when many rotations run at once', async () => {
    await addBilling()
    const rotations = Array.from({ length: 8 }, () => rooms.register.rotateSecret('billing', 'operator'))
    const made = await Promise.all(rotations)
    const opening = await Promise.all(made.map((one) => rooms.verify('billing', one.ok ? one.secret : '')))
    expect(opening.filter(Boolean)).toHaveLength(1)
  })

  it('leaves all of them live when they overlap, and refuses more than ten', async () => {
    await addBilling()
    const rotate = () => rooms.register.rotateSecret('billing', 'operator', { overlap: 3600 })
    const made = await Promise.all(Array.from({ length: 8 }, rotate))
    const opening = await Promise.all(made.map((one) => rooms.verify('billing', one.ok ? one.secret : '')))
    expect(opening).toEqual(Array(8).fill(true))
    expect((await Promise.all([rotate(), rotate()])).map(({ ok }) => ok).sort()).toEqual([false, true])
    expect(await rotate()).toEqual({ ok: false, reason: 'too-many' })
    expect((await rooms.register.rotateSecret('billing', 'operator')).ok).toBe(true)
    expect(await rooms.secrets.store.list('billing')).toHaveLength(1)
  })

  it('S-070 ends a secret at its second: an overlap never gives a secret more time than it had', async () => {
    const first = await addBilling()
    const rotate = async (wishes: object) => {
      const rotated = await rooms.register.rotateSecret('billing', 'operator', wishes)
      if (!rotated.ok) throw new Error(rotated.reason)
      return rotated.secret
    }
    const second = await rotate({ overlap: 60, lifetime: 90 })
    const third = await rotate({ overlap: 3600 })
    const live = async () =>
      Promise.all([first, second, third].map(async (secret) => await rooms.verify('billing', secret)))
    const at = async (time: string) => {
      rooms.passTo(`2026-01-01T00:${time}Z`)
      return await live()
    }
    expect(await at('00:59.999')).toEqual([true, true, true])
    expect(await at('01:00.000')).toEqual([false, true, true])
    expect(await at('01:29.999')).toEqual([false, true, true])
    expect(await at('01:30.000')).toEqual([false, false, true])
    rooms.passTo('2026-01-01T00:00:00Z')
  })

  it('writes the last use of a secret once for many uses, and never takes it back', async () => {
    const secret = await addBilling()
    const use = createSecretUse({ store: rooms.secrets.store, now: rooms.now })
    const id = (await rooms.secrets.store.list('billing'))[0]!.id
    const lastUse = async () => (await rooms.secrets.store.list('billing'))[0]!.lastUsedAt
    for (let times = 0; times < 3; times++) use.note((await verifySecret(rooms.secrets, 'billing', secret))!)
    expect(await lastUse()).toBeUndefined()
    await use.flush()
    expect(await lastUse()).toEqual(new Date('2026-01-01T00:00:00Z'))
    // Another process that used it before, and writes later.
    await rooms.secrets.store.noteUses(new Map([[id, new Date('2025-12-31')]]))
    expect(await lastUse()).toEqual(new Date('2026-01-01T00:00:00Z'))
    rooms.passTo('2026-01-02T00:00:00Z')
    await use.flush() // has nothing to write
    expect(await lastUse()).toEqual(new Date('2026-01-01T00:00:00Z'))
    use.note(id)
    await use.flush()
    expect(await lastUse()).toEqual(new Date('2026-01-02T00:00:00Z'))
    rooms.passTo('2026-01-01T00:00:00Z')
  })

  it('does not wait for a rotation under way to write a last use, and keeps what could not be written', async () => {
    await addBilling()
    const id = (await rooms.secrets.store.list('billing'))[0]!.id
    let broken = true
    const use = createSecretUse({
      now: rooms.now,
      store: {
        ...rooms.secrets.store,
        noteUses: async (uses) => {
          if (broken) throw new Error('away')
          await rooms.secrets.store.noteUses(uses)
        },
      },
    })
    use.note(id)
    await expect(use.flush()).rejects.toThrow('away')
    broken = false
    await rooms.unit.run(async () => {
      await rooms.secrets.store.endAll('billing', { now: rooms.now(), end: new Date('2027-01-01') })
      // From another connection than the one that holds the row.
      const outside = createClientSecretStore({ unit: createUnitOfWork(rooms.db) })
      await outside.noteUses(new Map([[id, rooms.now()]]))
    })
    await use.flush()
    expect((await rooms.secrets.store.list('billing'))[0]!.lastUsedAt).toEqual(rooms.now())
  })

  it('makes a secret when a client becomes confidential, and drops it when it stops using one', async () => {
    const spa: ClientFields = { ...billing, kind: 'spa', authMethod: 'none', redirectUris: ['https://a.example/'] }
    expect(await rooms.register.add(spa, 'operator')).toEqual({ ok: true })
    const changed = await rooms.register.change({ ...spa, kind: 'web', authMethod: 'client_secret_basic' }, 'operator')
    const secret = changed.ok ? changed.secret : undefined
    expect(await rooms.verify('billing', secret ?? '')).toBe(true)
    expect(await rooms.register.change({ ...spa, kind: 'web', authMethod: 'client_secret_post' }, 'operator')).toEqual({
      ok: true,
    })
    expect(await rooms.verify('billing', secret ?? '')).toBe(true)
    await rooms.register.change({ ...billing, authMethod: 'private_key_jwt', jwks }, 'operator')
    expect(await rooms.verify('billing', secret ?? '')).toBe(false)
    await rooms.register.change(billing, 'operator')
    expect(await rooms.verify('billing', secret ?? '')).toBe(false)
    expect(await rooms.store.find('billing')).toEqual({ ...billing, createdAt: rooms.now(), epoch: expect.any(String) })
  })

  it('seals the secrets of a client that signs with them, bound to the client; another form means another secret', async () => {
    const signing: ClientFields = { ...billing, authMethod: 'client_secret_jwt' }
    const secret = await addBilling(signing)
    const listed = () => listSealedSecrets(rooms.secrets, 'billing')
    const [sealed] = await listed()
    expect(openSecret(rooms.secrets, 'billing', sealed!.sealed)).toBe(secret)
    expect(() => openSecret(rooms.secrets, 'other', sealed!.sealed)).toThrow()
    expect(sealed!.sealed.includes(secret)).toBe(false)
    expect(await rooms.verify('billing', secret)).toBe(false)
    const rotated = await rooms.register.rotateSecret('billing', 'operator', { overlap: 60 })
    const opened = (await listed()).map((one) => openSecret(rooms.secrets, 'billing', one.sealed))
    expect(opened.sort()).toEqual([secret, rotated.ok ? rotated.secret : ''].sort())
    rooms.passTo('2026-01-01T00:01:00Z')
    expect(await listed()).toHaveLength(1)
    rooms.passTo('2026-01-01T00:00:00Z')

    const sending = await rooms.register.change(billing, 'operator')
    expect([await listed(), sending.ok && (await rooms.verify('billing', sending.secret!))]).toEqual([[], true])
    const again = await rooms.register.change(signing, 'operator')
    expect([again.ok && again.secret !== undefined, (await listed()).length]).toEqual([true, 1])
    expect(await rooms.secrets.store.list('billing')).toHaveLength(1)
  })

  it('secrets that are sealed again while one is changed: one after the other', async () => {
    await addBilling({ ...billing, authMethod: 'client_secret_jwt' })
    for (let more = 0; more < 2; more++) await rooms.register.rotateSecret('billing', 'operator', { overlap: 60 })
    // In another order than they lie in the table.
    for (const [at, { id }] of (await rooms.secrets.store.list('billing')).entries()) {
      await rooms.db.updateTable('client_secrets').set({ id: 'bca'[at]! }).where('id', '=', id).execute()
    }
    const [rotated] = await holding<[{ ok: boolean }, number]>(
      database,
      ['select from client_secrets where id = $1 for update', ['c']],
      [
        () => rooms.register.rotateSecret('billing', 'operator', { overlap: 30 }),
        () => rooms.unit.run(() => resealSecrets(rooms.secrets)),
      ],
    )
    expect([rotated.ok, (await rooms.secrets.store.list('billing')).length]).toEqual([true, 4])
  })

  it('is disabled and enabled, once each, and ends what hangs on it when disabled', async () => {
    await addBilling()
    expect(await rooms.register.disable('billing', 'operator')).toBe('done')
    expect(await rooms.register.disable('billing', 'operator')).toBe('unchanged')
    expect((await rooms.store.find('billing'))?.disabledAt).toEqual(rooms.now())
    await rooms.register.change({ ...billing, name: 'New name' }, 'operator')
    expect(await rooms.store.find('billing')).toMatchObject({ name: 'New name', disabledAt: rooms.now() })
    expect(await rooms.register.enable('billing', 'operator')).toBe('done')
    expect(await rooms.register.enable('billing', 'operator')).toBe('unchanged')
    expect((await rooms.store.find('billing'))?.disabledAt).toBeUndefined()
    expect(await rooms.register.disable('nobody', 'operator')).toBe('unknown')
    expect(rooms.ended).toEqual(['billing client-disabled'])
    expect(await auditKinds()).toEqual(['client.added', 'client.disabled', 'client.changed', 'client.enabled'])
  })

  it('takes its secrets along when it is removed', async () => {
    const secret = await addBilling()
    expect(await rooms.register.remove('billing', 'operator')).toBe('done')
    expect(await rooms.register.remove('billing', 'operator')).toBe('unknown')
    expect(rooms.ended).toEqual(['billing client-removed'])
    await addBilling()
    expect(await rooms.verify('billing', secret)).toBe(false)
  })

  it('writes nothing when the unit of work around it fails', async () => {
    const failing = rooms.unit.run(async () => {
      await rooms.register.add(billing, 'operator')
      throw new Error('later')
    })
    await expect(failing).rejects.toThrow('later')
    expect(await rooms.store.find('billing')).toBeUndefined()
    expect(await auditKinds()).toEqual([])
  })
})
