// What people have allowed is remembered, however many windows they allow it in.
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { type AllowedScopes, type Consents, createConsents } from '../../src/sessions/consents.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let database: TestDatabase
let close: () => Promise<void>
let consents: Consents

beforeAll(async () => {
  database = await createTestDatabase()
  const connected = connect(database.connection)
  close = connected.close
  consents = createConsents({ unit: createUnitOfWork(connected.db), now: () => new Date() })
  await database.pool().query(`
    insert into accounts (id, email, email_key, role, created_at, updated_at)
      select 'usr_' || name, name || '@example.com', name || '@example.com', 'user', now(), now()
      from unnest(array['ada', 'bob']) as name`)
  await database.pool().query(`
    insert into clients (id, name, kind, auth_method, first_party, redirect_uris, post_logout_redirect_uris,
        response_modes, refresh, scopes, serves, created_at, updated_at)
      select name, name, 'web', 'client_secret_basic', false, '{}', '{}', '{query}', 'none', '{}', '{}', now(), now()
      from unnest(array['shop', 'blog']) as name`)
})
afterAll(async () => {
  await close()
  await database.drop()
})

const epochOf = async (id: string): Promise<string> =>
  (await database.pool().query('select epoch from accounts where id = $1', [id])).rows[0].epoch

async function remember(account: string, client: string, allowed: AllowedScopes): Promise<void> {
  expect(await consents.remember(account, client, allowed, await epochOf(account))).toBe(true)
}

it('S-187 is remembered per person and app', async () => {
  await remember('usr_ada', 'shop', { openid: ['openid'], resources: { orders: ['read'] } })
  expect(await consents.find('usr_ada', 'shop')).toEqual({ openid: ['openid'], resources: { orders: ['read'] } })
  expect(await consents.find('usr_ada', 'blog')).toBeUndefined()
  expect(await consents.find('usr_bob', 'shop')).toBeUndefined()
})

it('S-187 consents given at once are all remembered: 20 of 20, on two resources', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `scope-${index}`)
  await Promise.all(
    names.map((name, index) =>
      remember('usr_bob', 'blog', { openid: ['openid', name], resources: { [`r${index % 2}`]: [name] } }),
    ),
  )
  const found = (await consents.find('usr_bob', 'blog'))!
  expect([...found.openid].sort()).toEqual(['openid', ...names].sort())
  const all = [...found.resources.r0!, ...found.resources.r1!]
  expect(all.sort()).toEqual([...names].sort())
  expect(found.resources.r0).toHaveLength(10)
})

it('nothing is forgotten by a smaller consent, and nothing is remembered twice', async () => {
  const all = { openid: ['openid', 'email'], resources: { orders: ['read', 'write'] } }
  await remember('usr_ada', 'blog', all)
  await remember('usr_ada', 'blog', { openid: ['openid'], resources: { orders: ['read'] } })
  expect(await consents.find('usr_ada', 'blog')).toEqual(all)
})

it('S-186 is not remembered of an account that was ended since it was asked, nor for what is not there', async () => {
  const allowed = { openid: ['openid'], resources: {} }
  const epoch = await epochOf('usr_bob')
  await database.pool().query("update accounts set epoch = nextval('epochs') where id = 'usr_bob'")
  expect(await consents.remember('usr_bob', 'shop', allowed, epoch)).toBe(false)
  expect(await consents.remember('usr_bob', 'gone', allowed, await epochOf('usr_bob'))).toBe(false)
  expect(await consents.find('usr_bob', 'shop')).toBeUndefined()
})
