// One request, one transaction, opened at the first write and committed before the answer leaves. Reads before the first
// write use the pool; from then on they use the transaction's connection, so a request sees its own writes and never waits
// for a second connection while it holds one.
import { AsyncLocalStorage } from 'node:async_hooks'
import { AbortedTransactionError, type ControlledTransaction, type Kysely, sql } from 'kysely'
import { outage } from './outage.ts'
import type { Schema } from './schema.ts'

/** What stores query through: the pool, or the transaction of the unit of work at hand. */
export type Db = Kysely<Schema>

interface Unit {
  transaction?: Promise<ControlledTransaction<Schema>>
  closed: boolean
  onlyIfGranted: boolean
  abandoned: boolean
  /** what holds whatever the answer: all that was written, or what was written before the savepoint */
  kept?: 'all' | 'before the savepoint'
  savepoint?: Promise<unknown>
  readonly onCommit: (() => void)[]
}

/** How a unit ends. `refuse` commits, too, unless something in it holds only if the request is granted. */
export type Verdict = 'commit' | 'refuse' | 'roll back'

export interface UnitOfWork {
  /** for reads: the open transaction, else the pool */
  read(): Promise<Db>
  /**
   * For writes: opens the transaction if there is none; outside a unit each statement commits by itself.
   * @throws Error in what goes on after its unit has ended
   */
  write(): Promise<Db>
  /**
   * Runs `work` as one unit. `verdict` looks at its result and says how it ends; a throw always rolls back.
   * A unit inside a unit is the same unit. A commit that fails, or whose
   * outcome is unknown, is thrown as an outage with code 40000 or 08007: nothing may be acknowledged then.
   */
  run<T>(work: () => Promise<T>, verdict?: (result: T) => Verdict): Promise<T>
  /** Says that the unit at hand used something up, which holds only if its request is granted: a refusal rolls it back. */
  onlyIfGranted(): void
  /** Says that what the unit at hand stood on is over: its request is refused, whatever the answer says, and rolled back. */
  abandon(): void
  /**
   * Says that what the unit at hand has written so far holds also if its request is refused. It costs a savepoint, if anything
   * is written after it.
   * @throws Error when the unit has used something up already, which a refusal rolls back
   */
  keep(): void
  /** @returns whether the unit at hand has begun to write: it sees what others do not see yet */
  writing(): boolean
  /** Calls `then` once the unit at hand has committed; outside a unit at once. It must not throw. */
  onCommit(then: () => void): void
}

/**
 * @param pool the Kysely instance over the connection pool
 * @returns the unit of work that all stores share
 */
export function createUnitOfWork(pool: Db): UnitOfWork {
  const storage = new AsyncLocalStorage<Unit>()

  const open = (): Unit | undefined => {
    const unit = storage.getStore()
    return unit && !unit.closed ? unit : undefined
  }

  /** What goes on after its unit has ended would write for a request that was answered, perhaps that it failed. */
  const refuseStragglers = () => {
    if (storage.getStore()?.closed) throw new Error('the unit of work has ended: nothing is written after it')
  }

  return {
    async read() {
      return (await open()?.transaction) ?? pool
    },

    async write() {
      refuseStragglers()
      const unit = open()
      if (!unit) return pool
      unit.transaction ??= pool.startTransaction().execute()
      if (unit.kept === 'all') {
        unit.kept = 'before the savepoint'
        unit.savepoint = unit.transaction.then((transaction) => sql`savepoint kept`.execute(transaction))
      }
      await unit.savepoint
      return unit.transaction
    },

    async run(work, verdict = () => 'commit') {
      refuseStragglers()
      if (open()) return work()
      const unit: Unit = { closed: false, onlyIfGranted: false, abandoned: false, onCommit: [] }
      return storage.run(unit, async () => {
        let outcome: Verdict = 'roll back'
        try {
          const result = await work()
          outcome = verdict(result)
          if (unit.abandoned && outcome === 'commit') outcome = 'refuse'
          return result
        } finally {
          unit.closed = true
          await finish(unit, outcome === 'refuse' && !unit.onlyIfGranted && !unit.abandoned ? 'commit' : outcome)
        }
      })
    },

    onlyIfGranted() {
      const unit = open()
      if (unit) unit.onlyIfGranted = true
    },

    abandon() {
      const unit = open()
      if (unit) unit.abandoned = true
    },

    keep() {
      const unit = open()
      if (unit?.onlyIfGranted) throw new Error('what is kept whatever the answer is written before anything is used up')
      if (unit?.transaction) unit.kept = 'all'
    },

    writing: () => open()?.transaction !== undefined,

    onCommit(then) {
      const unit = open()
      if (unit) unit.onCommit.push(then)
      else then()
    },
  }
}

async function finish(unit: Unit, outcome: Verdict): Promise<void> {
  // A transaction that could not be opened has thrown in the work itself, where the error belongs.
  const transaction = await unit.transaction?.catch(() => undefined)
  if (!transaction) return
  const keeps = outcome === 'refuse' && unit.kept !== undefined
  if (outcome !== 'commit' && !keeps) {
    await transaction.rollback().execute()
    return
  }
  try {
    if (keeps && unit.kept !== 'all') await sql`rollback to savepoint kept`.execute(transaction)
    await transaction.commit().execute()
  } catch (error) {
    // Kysely gives the connection back only with the rollback.
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined)
    throw commitFault(error)
  }
  if (outcome === 'commit') for (const then of unit.onCommit) then()
}

/** Whatever went wrong, it is worth trying again. What the server refused has not happened; of all else nobody knows. */
function commitFault(error: unknown): Error {
  const { code } = error as { code?: unknown }
  const refused = error instanceof AbortedTransactionError || /^(?!08|57P)[0-9A-Z]{5}$/.test(String(code))
  return refused
    ? outage('40000', 'The database refused the commit.', error)
    : outage('08007', 'Whether the database has committed is not known.', error)
}
