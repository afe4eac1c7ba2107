// The room of people over a database of its own, with a clock that a test turns and a record of whose trust was ended.
import { createAccounts } from '../../src/accounts/create.ts'
import { createAudit } from '../../src/audit/append.ts'
import { type Connection, connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { createTestDatabase } from '../helpers/database.ts'

export const PASSWORD = 'four mossy lanterns by the gate'
export const OTHER_PASSWORD = 'seven tall herons in the reeds'

export type People = Awaited<ReturnType<typeof createPeople>>

/** @returns the room, and what its tests look at; `drop` removes the database */
export async function createPeople() {
  const database = await createTestDatabase()
  const keys = makeRingKeys()
  const ended: string[] = []
  const leaked: string[] = []
  const closing: (() => Promise<void>)[] = []
  let time = new Date('2030-01-01T12:00:00Z').getTime()

  /** The same room once more, as another process on the same database has it. */
  function open(connection: Connection) {
    const { db, close } = connect(connection)
    closing.push(close)
    const unit = createUnitOfWork(db)
    const now = () => new Date(time)
    const accounts = createAccounts({
      unit,
      now,
      ring: createKeyRing(keys),
      audit: createAudit({ unit, now, requestId: () => undefined }),
      noteEnd: async (id, _epoch, reason) => void ended.push(`${id} ${reason}`),
      isBreached: async (password) => leaked.includes(password),
    })
    return { accounts, unit, db }
  }

  return {
    ...open(database.connection),
    open,
    database,
    /** `<account> <reason>`, in the order in which they were ended */
    ended,
    /** passwords that the breach list knows */
    leaked,
    pass: (seconds: number) => {
      time += seconds * 1000
    },
    async drop() {
      await Promise.all(closing.map((close) => close()))
      await database.drop()
    },
  }
}

/** Adds a person with PASSWORD. @returns the id */
export async function addPerson({ accounts }: Pick<People, 'accounts'>, email: string, name?: string): Promise<string> {
  const account = await accounts.add({ email, name }, 'operator')
  if (!account) throw new Error(`${email} is there already`)
  const fault = await accounts.setPassword(account.id, PASSWORD, 'operator')
  if (fault) throw new Error(fault)
  return account.id
}

/** @returns the audit entries about a subject (all without one), oldest first, as `kind actor` */
export async function entries({ db }: Pick<People, 'db'>, subject?: string): Promise<string[]> {
  const rows = await db.selectFrom('audit_entries').selectAll().orderBy('id').execute()
  return rows
    .filter((row) => subject === undefined || row.subject === subject)
    .map(({ kind, actor }) => `${kind} ${actor}`)
}
