// "Did you mean": the known word that a mistyped one is closest to.

const MOST_WORDS = 5000

/**
 * @param word what somebody wrote
 * @param known the words that would have been right
 * @returns the closest one, or undefined when none is within a third of its length
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known.slice(0, MOST_WORDS)) {
    const bound = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3))
    if (Math.abs(word.length - candidate.length) > bound) continue
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance <= bound && distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** @returns a sentence for the end of a message, or '' when nothing is close */
export function didYouMean(word: string, known: readonly string[]): string {
  const found = nearest(word, known)
  return found === undefined ? '' : `; did you mean ${found}?`
}

// Levenshtein's distance, in which two neighbours that changed places count as one step.
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
