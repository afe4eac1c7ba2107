// A connection as a request holds it: no statement waits for ever, and no commit counts that PostgreSQL itself takes back in a
// footnote.
import type { PostgresPoolClient } from 'kysely'
import type { PoolClient } from 'pg'
import { outage } from './outage.ts'
import type { Patience } from './patience.ts'
import type { Pulse } from './pulse.ts'
import { within } from './within.ts'

/**
 * @param client as the pool handed it out; it goes back by `release`, or is cut when a statement gets no answer in time: on a
 *   connection that may still bring an old answer nothing new can be asked
 */
export function guard(
  { patience, pulse }: { patience: Patience; pulse: Pulse },
  client: PoolClient & { processID?: number },
): PostgresPoolClient {
  let released = false
  let warning: string | undefined
  let broken: unknown
  const onNotice = ({ code, message }: { code?: string; message?: string }) => {
    if (code?.startsWith('01')) warning = message
  }
  client.on('notice', onNotice)

  const release = (destroy: boolean) => {
    if (released) return
    released = true
    client.off('notice', onNotice)
    client.release(destroy)
  }

  const query = async (sql: string, parameters: readonly unknown[]): Promise<unknown> => {
    if (released) throw outage('08003', 'The connection to the database was given up.')
    warning = undefined
    const done = pulse.wait()
    // A rollback is done at once or not worth waiting for: the server rolls back what is cut, too.
    const silence = sql === 'rollback' ? patience.statement : pulse.silence(performance.now())
    let result: unknown
    try {
      const milliseconds = Math.max(patience.least, patience.statement - silence)
      result = await within(milliseconds, client.query(sql, [...parameters]))
      done('answer')
    } catch (error) {
      const { code, severity } = error as { code?: unknown; severity?: unknown }
      done(severity === undefined ? 'silence' : 'answer')
      if (code === '08006') release(true)
      // What comes after a failure in the same transaction is refused for it alone: the first one is the cause.
      if (code === '25P02' && broken !== undefined) throw broken
      broken ??= error
      throw error
    }
    if (warning !== undefined && client.getTransactionStatus() === 'I') {
      // A commit that was waiting for its standby and was cancelled is answered with success and a warning. It is there,
      // and a failover loses it: whoever acknowledges it lies.
      release(true)
      throw outage('08007', `Whether the database has committed is not known: ${warning}.`)
    }
    return result
  }

  // Kysely asks by text alone; its cursors are not set up.
  return {
    processID: client.processID,
    query: query as PostgresPoolClient['query'],
    release: (destroy = false) => release(destroy),
  }
}
