// Evaluates a policy as IAM does, for one call. Written apart from the authorizer's compiler, so that each tests the other.

export type PolicyVerdict = 'allow' | 'explicit-deny' | 'implicit-deny'

const ELEMENTS = ['Sid', 'Effect', 'Action', 'Resource']

/**
 * @param policy a policy document with `Effect`, `Action` and `Resource`; `*` is any text, `?` any one character
 * @returns the verdict; a Deny that fits wins over every Allow
 * @throws TypeError where the document is not a policy, or uses an element that is not evaluated here
 */
export function matchPolicy(policy: unknown, call: { action: string; arn: string }): PolicyVerdict {
  const { Version, Statement } = asObject(policy)
  if (Version !== '2012-10-17' && Version !== '2008-10-17') throw new TypeError('The policy has no known Version')
  const effects = asList(Statement).flatMap((statement) => effectOn(asObject(statement), call))
  if (effects.includes('Deny')) return 'explicit-deny'
  return effects.includes('Allow') ? 'allow' : 'implicit-deny'
}

function effectOn(statement: Record<string, unknown>, { action, arn }: { action: string; arn: string }): string[] {
  for (const element of Object.keys(statement)) {
    if (!ELEMENTS.includes(element))
      throw new TypeError(`A statement has the element ${element}, which is not evaluated here`)
  }
  const { Effect, Action, Resource } = statement
  if (Effect !== 'Allow' && Effect !== 'Deny') throw new TypeError('A statement has no Effect')
  const actions = texts(Action, 'Action')
  const resources = texts(Resource, 'Resource')
  const concerned =
    actions.some((pattern) => wildcard(pattern.toLowerCase(), action.toLowerCase())) &&
    resources.some((pattern) => wildcard(pattern, arn))
  return concerned ? [Effect] : []
}

// Greedy match with one point of return: linear in practice, never exponential.
function wildcard(pattern: string, text: string): boolean {
  let p = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++
      resume = t
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

function texts(value: unknown, name: string): readonly string[] {
  const list = asList(value)
  if (list.length === 0 || list.some((text) => typeof text !== 'string'))
    throw new TypeError(`A statement has no ${name}`)
  return list as string[]
}

function asList(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : [value]
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('The policy is not an object')
  return value as Record<string, unknown>
}
