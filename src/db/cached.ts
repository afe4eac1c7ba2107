// Rows kept in memory for the hot path, for as long as somebody vouches that they are what the database has.

/** Most values that one cache keeps of each kind: those that are there, and those that are not. */
const MOST = 5000

export interface CacheParts {
  /** the version of what is kept, or undefined while nothing may be kept (see `Live.version`) */
  readonly version: () => string | undefined
  /** whether the unit of work at hand has written: it sees what nobody else may see yet, and reads the database */
  readonly writing: () => boolean
}

/**
 * Puts a cache before a look-up. Values are kept by the version read before they were, which is never newer than they are;
 * another version drops them all. What is not there is kept, too, but apart: whoever invents keys pushes nobody out, and time
 * does not tell what there is.
 * @param load reads the database; what it returns is shared, and must not be changed
 * @returns the look-up, which does without the database where it can
 */
export function cached<Value>(
  { version, writing }: CacheParts,
  load: (key: string) => Promise<Value>,
): (key: string) => Promise<Value> {
  const there = new Map<string, Value>()
  const absent = new Map<string, Value>()
  let keptAt: string | undefined

  return async (key) => {
    const now = version()
    if (now === undefined || writing()) return load(key)
    if (now !== keptAt) {
      there.clear()
      absent.clear()
      keptAt = now
    }
    for (const kept of [there, absent]) if (kept.has(key)) return use(kept, key)
    const value = await load(key)
    if (version() === now) keep(isAbsent(value) ? absent : there, key, value)
    return value
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0)
}

/** What was used last is pushed out last: a map keeps the order in which keys came. */
function use<Value>(kept: Map<string, Value>, key: string): Value {
  const value = kept.get(key) as Value
  kept.delete(key)
  kept.set(key, value)
  return value
}

function keep<Value>(kept: Map<string, Value>, key: string, value: Value): void {
  kept.set(key, value)
  if (kept.size > MOST) kept.delete(kept.keys().next().value!)
}
