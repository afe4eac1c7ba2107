// The scope language (RFC 6749 section 3.3): case-sensitive words of printable ASCII, separated by single spaces.

const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/

/** @returns whether `text` is one scope: printable ASCII without space, double quote and backslash */
export function isScope(text: string): boolean {
  return SCOPE.test(text)
}

/**
 * Reads the value of a `scope` parameter or claim.
 * @returns its scopes in order, `[]` for the empty text, or undefined where the text breaks RFC 6749 section 3.3
 */
export function parseScopes(text: string): readonly string[] | undefined {
  if (text === '') return []
  const scopes = text.split(' ')
  return scopes.every(isScope) ? scopes : undefined
}

/** @returns those of `required` that are not in `granted`, in order; empty when nothing is missing */
export function missingScopes(required: readonly string[], granted: readonly string[]): readonly string[] {
  return required.filter((scope) => !granted.includes(scope))
}
