import { createAudit } from '../../src/audit/append.ts'
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createResourceRegister } from '../../src/resources/register.ts'
import type { Resource } from '../../src/resources/resource.ts'
import { createResourceStore } from '../../src/resources/store.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

const orders: Resource = {
  id: 'https://orders.example.com',
  name: 'Orders',
  format: 'jwt',
  sign: 'ES256',
  lifetime: 600,
  scopes: [
    { name: 'z', text: 'Last letter first', risk: 'low', byDefault: true },
    { name: 'a', text: 'First letter last', risk: 'high', byDefault: false },
  ],
}

describe('resources', () => {
  let database: TestDatabase
  let close: () => Promise<void>
  let rooms: ReturnType<typeof createRooms>
  const naming: string[] = []

  function createRooms(connected: ReturnType<typeof connect>) {
    const unit = createUnitOfWork(connected.db)
    const now = () => new Date('2026-01-01T00:00:00Z')
    const store = createResourceStore({ unit, now })
    const audit = createAudit({ unit, now, requestId: () => undefined })
    const register = createResourceRegister({ unit, store, audit, clientsNaming: async () => naming })
    return { db: connected.db, store, register }
  }

  beforeAll(async () => {
    database = await createTestDatabase()
    const connected = connect(database.connection)
    close = connected.close
    rooms = createRooms(connected)
  })
  afterAll(async () => {
    await close?.()
    await database?.drop()
  })

  it('are added once, changed, and removed when no client names them', async () => {
    const { store, register, db } = rooms
    expect(await register.add(orders, 'operator')).toBe('done')
    expect(await register.add({ ...orders, name: 'Impostor' }, 'operator')).toBe('taken')
    expect(await store.find(orders.id)).toEqual(orders)

    const changed: Resource = { ...orders, format: 'opaque', lifetime: 3600, scopes: [] }
    expect(await register.change(changed, 'operator')).toBe('done')
    expect(await register.change({ ...changed, id: 'urn:x:y' }, 'operator')).toBe('unknown')
    expect(await store.list()).toEqual([changed])

    naming.push('shop')
    expect(await register.remove(orders.id, 'operator')).toEqual(['shop'])
    expect(await store.find(orders.id)).toBeDefined()
    naming.length = 0
    expect(await register.remove(orders.id, 'operator')).toEqual([])
    expect(await register.remove(orders.id, 'operator')).toBeUndefined()

    const entries = await db.selectFrom('audit_entries').select(['kind', 'actor', 'subject']).orderBy('id').execute()
    expect(entries).toEqual(
      ['added', 'changed', 'removed'].map((act) => ({
        kind: `resource.${act}`,
        actor: 'operator',
        subject: orders.id,
      })),
    )
  })
})
