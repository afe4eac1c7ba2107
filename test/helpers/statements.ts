// What this process asks of its database.
import pg from 'pg'
import type { Live, Topic } from '../../src/db/live.ts'
import { until } from './until.ts'

/**
 * Listens to every statement while `work` runs.
 * @returns their texts in order, without the heartbeat of the versions
 */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const statements: string[] = []
  const { prototype } = pg.Client as unknown as { prototype: { query: (...given: unknown[]) => unknown } }
  const original = prototype.query
  prototype.query = function (this: unknown, ...given: unknown[]) {
    const text = String((given[0] as { text?: string }).text ?? given[0])
    if (!text.includes('from versions')) statements.push(text)
    return original.apply(this, given)
  }
  try {
    await work()
  } finally {
    prototype.query = original
  }
  return statements
}

const TOPICS: readonly Topic[] = ['clients', 'resources', 'signing-keys', 'key-ring']

/**
 * Does a round, and does it again when somebody who asked for a version meanwhile was told of none, or of another than before:
 * after a second in which nobody is let run, what is kept in memory is passed by, and the database is asked again.
 * @param before is done before each round, and changes what it wants
 * @returns what the first round came to in which all that is kept in memory stayed good
 */
export async function inOneVersion<Outcome>(
  live: Live,
  round: () => Promise<Outcome>,
  before: () => Promise<unknown> = async () => undefined,
): Promise<Outcome> {
  const { version } = live
  const { outcome } = await until(async () => {
    await before()
    const good = await until(() => {
      const versions = new Map(TOPICS.map((topic) => [topic, version(topic)]))
      return [...versions.values()].every(Boolean) && versions
    })
    let stayed = true
    live.version = (topic) => {
      const now = version(topic)
      stayed &&= now === good.get(topic)
      return now
    }
    try {
      const outcome = await round()
      return stayed && { outcome }
    } finally {
      live.version = version
    }
  })
  return outcome
}
