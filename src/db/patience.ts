// How long we wait for the database. All in milliseconds.

export interface Patience {
  /** until there is a connection, counted from the last answer of the database to anybody (see pulse.ts) */
  readonly connection: number
  /** until there is a connection, however often others are answered meanwhile */
  readonly queue: number
  /** until a statement is answered, counted in the same way; then its connection is cut */
  readonly statement: number
  /** what a connection and a statement have in any case */
  readonly least: number
  /** the server's own bounds, which end statements before we cut their connection; 0 is none */
  readonly server: {
    readonly statement_timeout: number
    readonly lock_timeout: number
    readonly idle_in_transaction_session_timeout: number
  }
}

/**
 * `request`: somebody waits for an answer, which comes within 2 seconds when the database falls silent. As long as it answers
 * others, a queue for connections is a queue, and may take longer. `work`: commands and the
 * sweeper. `migration`: what may have to rewrite tables, and waits for whoever does.
 */
export const PATIENCE: Readonly<Record<'request' | 'work' | 'migration', Patience>> = {
  request: {
    connection: 1_500,
    queue: 4_500,
    statement: 1_500,
    least: 300,
    server: { statement_timeout: 1_450, lock_timeout: 1_300, idle_in_transaction_session_timeout: 8_000 },
  },
  work: {
    connection: 5_000,
    queue: 30_000,
    statement: 20_000,
    least: 15_000,
    server: { statement_timeout: 15_000, lock_timeout: 10_000, idle_in_transaction_session_timeout: 15_000 },
  },
  migration: {
    connection: 5_000,
    queue: 30_000,
    statement: 3_600_000,
    least: 3_600_000,
    server: { statement_timeout: 0, lock_timeout: 60_000, idle_in_transaction_session_timeout: 60_000 },
  },
}
