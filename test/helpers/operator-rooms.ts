// The rooms that operators' commands use, over a test database, without a server.
import { createAccounts } from '../../src/accounts/create.ts'
import { emailKey, isEmail } from '../../src/accounts/email.ts'
import { createApply } from '../../src/apply/execute.ts'
import { readUserFields } from '../../src/apply/user-fields.ts'
import { createAudit } from '../../src/audit/append.ts'
import type { Rooms } from '../../src/cli/rooms.ts'
import { secretForm } from '../../src/clients/client.ts'
import { readClientFields, writeClientFields } from '../../src/clients/fields.ts'
import { createClientRegister } from '../../src/clients/register.ts'
import { createClientSecretStore } from '../../src/clients/secret-store.ts'
import { verifySecret } from '../../src/clients/secrets.ts'
import { createClientStore } from '../../src/clients/store.ts'
import { connect } from '../../src/db/connect.ts'
import { createUnitOfWork, type UnitOfWork } from '../../src/db/unit-of-work.ts'
import { createWithdraw } from '../../src/endings/withdraw.ts'
import { readResourceFields, writeResourceFields } from '../../src/resources/fields.ts'
import { createResourceRegister } from '../../src/resources/register.ts'
import { createResourceStore } from '../../src/resources/store.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { createConsents } from '../../src/sessions/consents.ts'
import { createGrants } from '../../src/sessions/grants.ts'
import { createSessions } from '../../src/sessions/sessions.ts'
import { ensureSigningKeys } from '../../src/signing-keys/ensure.ts'
import { nextStep } from '../../src/signing-keys/next-step.ts'
import { createKeyRotation } from '../../src/signing-keys/rotate.ts'
import { createSigningKeyStore } from '../../src/signing-keys/store.ts'
import { KEY_TIMES } from '../../src/wire-keys.ts'
import type { TestDatabase } from './database.ts'

export type OperatorRooms = Awaited<ReturnType<typeof createOperatorRooms>>

/**
 * @param options `applyUnit` may stand between apply and its unit of work
 * @returns the rooms, with what tests look at beside them; `close` ends the connections
 */
export async function createOperatorRooms(
  database: TestDatabase,
  { applyUnit = (unit) => unit }: { applyUnit?: (unit: UnitOfWork) => UnitOfWork } = {},
) {
  const { db, close } = connect(database.connection)
  const unit = createUnitOfWork(db)
  const now = () => new Date()
  const ring = createKeyRing(makeRingKeys())
  const audit = createAudit({ unit, now, requestId: () => undefined })
  const clientStore = createClientStore({ unit, now })
  const secrets = { store: createClientSecretStore({ unit }), ring, now }
  const resourceStore = createResourceStore({ unit, now })
  const sessions = createSessions({ unit, ring, now })
  const grants = createGrants({ unit, now })
  const keyStore = createSigningKeyStore({ unit, ring })
  // Made when a test first looks at them: an RSA key takes its time.
  const ensureKeys = () => ensureSigningKeys({ unit, store: keyStore, audit, now })
  const rotation = createKeyRotation({
    unit,
    store: keyStore,
    audit,
    now,
    times: KEY_TIMES,
    algorithmsInUse: async () => new Set(['ES256', 'RS256']),
    endKey: async () => undefined,
  })
  const accounts = createAccounts({ unit, ring, audit, now, noteEnd: async () => undefined })
  const clients = {
    ...createClientRegister({ unit, store: clientStore, secrets, audit, now, noteEnd: async () => undefined }),
    find: clientStore.find,
    list: clientStore.list,
    listSecrets: secrets.store.list,
  }
  const resources = {
    ...createResourceRegister({ unit, store: resourceStore, audit, clientsNaming: clientStore.namingResource }),
    find: resourceStore.find,
    list: resourceStore.list,
  }
  const link = async (path: string, made: Promise<{ token: string; expiresAt: Date }>) => {
    const { token, expiresAt } = await made
    return { url: `http://localhost:3000${path}?token=${token}`, expiresAt }
  }
  const people: Rooms['accounts'] = {
    ...accounts,
    makeSetPasswordLink: (id, actor) => link('/set-password', accounts.makeSetPasswordLink(id, actor)),
    makeAdminLink: (actor) => link('/admin/setup', accounts.makeAdminLink(actor)),
  }
  const rooms: Rooms = {
    now,
    clients,
    resources,
    accounts: people,
    signingKeys: {
      async list() {
        await ensureKeys()
        const keys = await keyStore.records()
        return keys.map((key) => ({ ...key, next: nextStep(key, keys, KEY_TIMES) }))
      },
      rotate: (...asked) => ensureKeys().then(() => rotation.rotate(...asked)),
      retire: rotation.retire,
    },
    trust: {
      ...createWithdraw({
        unit,
        audit,
        endNamed: async () => true,
        endSession: sessions.endByUid,
        endGrant: grants.destroy,
        grantsOf: grants.listOf,
        forgetConsent: createConsents({ unit, now }).forget,
      }),
      token: () => Promise.reject(new Error('tokens need a server')),
      sessionsOf: sessions.listOf,
      grantsOf: grants.listOf,
    },
    apply: createApply({
      unit: applyUnit(unit),
      clients,
      resources,
      users: { ...people, rename: accounts.rename },
      readResource: readResourceFields,
      readClient: readClientFields,
      readUser: (document) => readUserFields({ isEmail }, document),
      emailKey,
      writeResource: writeResourceFields,
      writeClient: writeClientFields,
      secretForm,
    }),
  }
  return {
    ...rooms,
    accounts: { ...accounts, ...people },
    db,
    unit,
    close,
    verifySecret: async (clientId: string, secret: string) =>
      (await verifySecret(secrets, clientId, secret)) !== undefined,
  }
}

/** @returns every row of every table of ours as text, for tests of what is kept and of what did not change */
export async function dumpTables({ db }: Pick<OperatorRooms, 'db'>): Promise<Record<string, string>> {
  const tables = ['resources', 'clients', 'client_secrets', 'accounts', 'account_links', 'audit_entries'] as const
  const rows = await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()))
  return Object.fromEntries(tables.map((table, index) => [table, JSON.stringify(rows[index])]))
}
