// The wildcard language of policy resources, as far as our own policies use it: `*` is any text, slashes included.

/** @returns a test of texts against `pattern` that takes time in the product of their lengths at most */
export function compileGlob(pattern: string): (text: string) => boolean {
  const [head = '', ...pieces] = pattern.split('*')
  const tail = pieces.pop()
  if (tail === undefined) return (text) => text === pattern
  return (text) => {
    if (!text.startsWith(head)) return false
    let at = head.length
    for (const piece of pieces) {
      const found = text.indexOf(piece, at)
      if (found < 0) return false
      at = found + piece.length
    }
    return text.length - at >= tail.length && text.endsWith(tail)
  }
}

/**
 * Asks whether any path at all fits both a pattern and a route template. Both come as segments; null is `*` in the pattern
 * (one or more segments of any text) and a parameter in the template (one segment, not empty).
 * @param greedy whether the template's last segment is a greedy parameter (one or more segments)
 */
export function globMeets(pattern: readonly Part[], template: readonly Part[], greedy: boolean): boolean {
  const meet = (i: number, j: number): boolean => {
    if (i === pattern.length || j === template.length) return i === pattern.length && j === template.length
    if (!share(pattern[i] as Part, template[j] as Part)) return false
    const wide = pattern[i] === null
    const long = greedy && j === template.length - 1
    return meet(i + 1, j + 1) || (wide && meet(i, j + 1)) || (long && meet(i + 1, j))
  }
  return meet(0, 0)
}

/** The text of a segment, or null for a placeholder. */
export type Part = string | null

function share(wanted: Part, offered: Part): boolean {
  if (wanted === null) return true
  return offered === null ? wanted !== '' : wanted === offered
}
