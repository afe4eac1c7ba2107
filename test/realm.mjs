// Jest runs tests in a context of their own, but Node's structuredClone returns objects of the outer one. oidc-provider
// recognises plain objects by their constructor, so a client with inline `jwks` would be refused in tests only.
globalThis.structuredClone = function cloneInThisRealm(value) {
  if (Array.isArray(value)) return value.map(cloneInThisRealm)
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [cloneInThisRealm(k), cloneInThisRealm(v)]))
  if (value instanceof Set) return new Set([...value].map(cloneInThisRealm))
  if (value instanceof Date) return new Date(value)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, cloneInThisRealm(v)]))
  }
  return value
}
