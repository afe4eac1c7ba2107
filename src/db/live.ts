// What a process may keep in memory, and how it hears that it is old: one connection that listens, and reads the versions of
// all topics again and again, so that a notification that was lost, or a connection that died in silence, is found out.
import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { TIME } from './clock.ts'
import type { Connection } from './connect.ts'
import type { PrimaryWatch } from './primary.ts'

/** What may be kept: `clients` are clients and their secrets. */
export type Topic = 'clients' | 'resources' | 'signing-keys' | 'key-ring'

/** The oldest that anything kept in memory can be, in milliseconds. */
export const STALE_AFTER = 1000

// Milliseconds. A heartbeat may take as long as what it confirms stays good, less the time until it began.
const HEARTBEAT = 400
const CONNECT_WITHIN = 2000
const FIRST_RETRY = 50
const LAST_RETRY = 1000

export interface LiveParts {
  readonly connection: Connection
  /** what the pools of this process have seen */
  readonly primary: PrimaryWatch
  /** milliseconds of a clock that only goes forward */
  readonly clock: () => number
  /** hears what time it is at the database, with each heartbeat; see `clock.ts` */
  readonly heard?: (time: number, since: number, until: number) => void
  /** hears that the connection was lost, once each time, and that a listener failed */
  readonly report: (error: Error, what: 'connection' | 'listener') => void
}

export interface Live {
  /**
   * What is kept is good while this stays the same as it was just before the row was read.
   * @returns the version of a topic, as the database had it less than STALE_AFTER ago; undefined while nobody can vouch for
   *   that: then what is kept is passed by, and the database is asked
   */
  version(topic: Topic): string | undefined
  /**
   * @param listener called when the topic may have changed: after each commit that touched it, and whenever the connection
   *   was made anew, the first time included, because what was read before may be older; `stop` waits for what it does
   * @returns a function that ends it
   */
  onChange(topic: Topic, listener: () => void | Promise<void>): () => void
  /** Says that this process has just committed a change: the topic has no version until the database was asked again. */
  touch(topic: Topic): void
  /** Ends the connection, and calls nobody any more. Everything kept is passed by from then on. */
  stop(): Promise<void>
}

/**
 * Starts to listen. Through a proxy that loses notifications (PgBouncer in transaction mode) the heartbeat alone keeps the bound.
 * @returns at once; topics have a version as soon as they were read for the first time
 */
export function startLive({ connection, primary, clock, heard, report }: LiveParts): Live {
  const listeners = new Map<string, Set<() => void | Promise<void>>>()
  const called = new Set<Promise<void>>()
  const wake = new EventEmitter()
  const over = new AbortController()
  const versions = new Map<string, string>()
  /** topics with a change that was not read yet, and the number of the last one */
  const touched = new Map<string, number>()
  let touches = 0
  let connections = 0
  let confirmedAt = Number.NEGATIVE_INFINITY
  let told = false

  const touch = (topic: string) => {
    touches += 1
    touched.set(topic, touches)
    wake.emit('now')
  }

  async function read(client: pg.Client): Promise<void> {
    const since = clock()
    const asked = touches
    const answer = await client.query<{ topic: string; version: string; time: number }>(
      `select topic, string_agg(version::text, '.' order by slot) as version, ${TIME} as time from versions group by topic`,
    )
    if (answer.rows[0]) heard?.(answer.rows[0].time, since, clock())
    for (const [topic, touch] of touched) if (touch <= asked) touched.delete(topic)
    confirmedAt = since
    told = false
    for (const { topic, version } of answer.rows) settle(topic, `${connections}.${version}`)
  }

  function settle(topic: string, version: string): void {
    if (versions.get(topic) === version) return
    versions.set(topic, version)
    for (const listener of listeners.get(topic) ?? []) {
      const call = callOne(listener).finally(() => called.delete(call))
      called.add(call)
    }
  }

  async function callOne(listener: () => void | Promise<void>): Promise<void> {
    try {
      await listener()
    } catch (error) {
      report(error as Error, 'listener')
    }
  }

  async function follow(client: pg.Client): Promise<void> {
    client.on('notification', ({ payload }) => touch(payload ?? ''))
    await primary.check(client)
    await client.query('listen gatehouse')
    // What was kept under another connection is not compared: behind it may stand a server that lost the last commits.
    connections += 1
    while (!over.signal.aborted) {
      if (!primary.isCurrent(client)) throw new Error('what hears of changes is connected to an old primary')
      const since = clock()
      await read(client)
      if (touched.size === 0) await pause(wake, Math.max(0, HEARTBEAT - (clock() - since)))
    }
  }

  async function run(): Promise<void> {
    let retry = FIRST_RETRY
    while (!over.signal.aborted) {
      try {
        await withClient(connection, over.signal, follow)
      } catch (error) {
        if (!told && !over.signal.aborted) report(error as Error, 'connection')
        told = true
      }
      retry = confirmedAt > Number.NEGATIVE_INFINITY ? FIRST_RETRY : Math.min(retry * 2, LAST_RETRY)
      confirmedAt = Number.NEGATIVE_INFINITY
      if (!over.signal.aborted) await sleep(retry, undefined, { signal: over.signal }).catch(() => undefined)
    }
  }

  const running = run()
  return {
    version: (topic) =>
      !touched.has(topic) && clock() - confirmedAt < STALE_AFTER && !over.signal.aborted
        ? versions.get(topic)
        : undefined,
    onChange(topic, listener) {
      const others = listeners.get(topic) ?? new Set()
      listeners.set(topic, others.add(listener))
      return () => void others.delete(listener)
    },
    touch,
    async stop() {
      over.abort()
      wake.emit('now')
      await running
      await Promise.all(called)
    },
  }
}

/** Waits, but not when somebody calls `now`. */
function pause(wake: EventEmitter, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      wake.off('now', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    wake.once('now', done)
  })
}

/** Runs `work` with a connection of its own until it ends, breaks, falls silent, or `over` aborts. */
async function withClient(
  connection: Connection,
  over: AbortSignal,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const socket = new Socket()
  const client = new pg.Client({
    ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    application_name: 'gatehouse live',
    connectionTimeoutMillis: CONNECT_WITHIN,
    query_timeout: STALE_AFTER,
    stream: () => socket,
  })
  // A connection that falls silent is not said good-bye to: that could take for ever.
  const cut = () => void socket.destroy()
  over.addEventListener('abort', cut, { once: true })
  const broken = new Promise<never>((_, reject) => {
    client.on('error', reject)
    client.on('end', () => reject(new Error('the connection that hears of changes has ended')))
  })
  broken.catch(() => undefined)
  try {
    await client.connect()
    await Promise.race([work(client), broken])
  } finally {
    over.removeEventListener('abort', cut)
    cut()
  }
}
