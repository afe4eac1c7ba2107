// Signing keys: one per algorithm, however many nodes start together, and nothing of the private part in clear.
import { createAudit } from '../../src/audit/append.ts'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { ensureSigningKeys } from '../../src/signing-keys/ensure.ts'
import { createSigningKeyStore } from '../../src/signing-keys/store.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

let database: TestDatabase
const nodes: Connected[] = []
const ring = createKeyRing(makeRingKeys())
const now = () => new Date()

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.close()))
  await database.drop()
})

it('four nodes at once end with the same two keys', async () => {
  const made = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const node = connect(database.connection, { max: 2 })
      nodes.push(node)
      const unit = createUnitOfWork(node.db)
      const store = createSigningKeyStore({ unit, ring })
      const audit = createAudit({ unit, now, requestId: () => undefined })
      await ensureSigningKeys({ unit, store, audit, now })
      return store.list()
    }),
  )
  const kids = made.map((keys) =>
    keys
      .map(({ kid }) => kid)
      .sort()
      .join(),
  )
  expect(new Set(kids).size).toBe(1)
  expect(made[0]!.map(({ alg, state }) => `${alg} ${state}`)).toEqual(['ES256 active', 'RS256 active'])
  const entries = await nodes[0]!.db.selectFrom('audit_entries').select(['kind', 'subject']).execute()
  expect(entries.map(({ kind, subject }) => `${kind} ${subject}`).sort()).toEqual(
    made[0]!.map(({ kid }) => `key.activated ${kid}`).sort(),
  )
})

it('S-020 S-021 keys are strong enough, named apart, and for one use', async () => {
  const unit = createUnitOfWork(nodes[0]!.db)
  const keys = await createSigningKeyStore({ unit, ring }).list()
  const rsa = keys.find(({ alg }) => alg === 'RS256')!.publicJwk
  expect(Buffer.from(rsa.n!, 'base64url').length * 8).toBeGreaterThanOrEqual(2048)
  expect(keys.find(({ alg }) => alg === 'ES256')!.publicJwk.crv).toBe('P-256')
  expect(
    keys.every(({ publicJwk, alg, kid }) => publicJwk.use === 'sig' && publicJwk.alg === alg && publicJwk.kid === kid),
  ).toBe(true)
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length)
})
