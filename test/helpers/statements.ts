// What this process asks of its database.
import pg from 'pg'

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
