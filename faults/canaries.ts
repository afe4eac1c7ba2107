// Every secret that crosses the wire during a run, and the search for them in logs (SECURITY S-214).
import type { RawAnswer } from '../test/helpers/process.ts'

/** A secret of ours is random and long; a shorter text would be found by accident. */
const SHORTEST = 16
const FIELDS = new Set([
  'password',
  'code',
  'code_verifier',
  'refresh_token',
  'access_token',
  'id_token',
  'token',
  'client_secret',
  'client_assertion',
  'csrf',
])

export interface Canaries {
  /** Learns a secret. */
  add(secret: string | undefined): void
  /** Learns the secrets of a request and its answer. */
  learn(request: { form?: Record<string, string>; headers?: Record<string, string> }, answer: RawAnswer): void
  /** @returns how many are known */
  count(): number
  /** @returns the secrets that a text holds, each by its first characters only */
  findIn(text: string): string[]
  /** Lets everything that this process fetches be learned. @returns undoes it */
  watchFetch(): () => void
}

/** @returns an empty collection */
export function createCanaries(): Canaries {
  /** runs of letters and digits, as tokens are made of; looked up word by word, because there are many */
  const words = new Set<string>()
  /** what has other characters in it, such as passwords */
  const texts = new Set<string>()

  const add = (secret: string | undefined) => {
    if (!secret) return
    // The first part of a JWT is the same for all, and no secret.
    const parts = secret.split('.')
    const part = parts.length === 3 ? parts[2]! : secret
    // What a test makes up to do harm is no secret, and may be told.
    if (part.length < SHORTEST || !/^[\w .~+/=-]+$/.test(part)) return
    if (/^[\w-]+$/.test(part)) words.add(part)
    else texts.add(part)
  }
  const addFields = (fields: Iterable<[string, unknown]>) => {
    for (const [name, value] of fields) if (FIELDS.has(name) && typeof value === 'string') add(value)
  }
  const addCredentials = (header: string | null | undefined) => {
    const [, scheme, value] = /^(\w+) (.+)$/.exec(header ?? '') ?? []
    add(value)
    if (scheme !== 'Basic') return
    const secret = Buffer.from(value!, 'base64').toString().split(':')[1] ?? ''
    // As a form has it (RFC 6749 section 2.3.1); what cannot be decoded is left as it is.
    add(new URLSearchParams(`secret=${secret}`).get('secret') ?? '')
  }
  const addCookies = (cookies: readonly string[]) => {
    for (const cookie of cookies) add(/^[^=]*=([^;]*)/.exec(cookie)?.[1])
  }
  const addLocation = (location: string | null | undefined) => {
    if (location && URL.canParse(location, 'http://localhost')) {
      addFields(new URL(location, 'http://localhost').searchParams)
    }
  }

  return {
    add,
    count: () => words.size + texts.size,

    learn({ form, headers }, answer) {
      addFields(Object.entries(form ?? {}))
      addCredentials(headers?.authorization)
      addFields(Object.entries(answer.body))
      addCookies([answer.headers['set-cookie'] ?? []].flat())
      addLocation(answer.headers.location as string | undefined)
    },

    findIn(text) {
      const found = new Set<string>()
      for (const [word] of text.matchAll(/[\w-]{16,}/g)) if (words.has(word)) found.add(word)
      for (const one of texts) if (text.includes(one)) found.add(one)
      return [...found].map((secret) => `${secret.slice(0, 6)}…`)
    },

    watchFetch() {
      const { fetch } = globalThis
      globalThis.fetch = async (input, init) => {
        if (init?.body instanceof URLSearchParams) addFields(init.body)
        addCredentials(new Headers(init?.headers).get('authorization'))
        addLocation(String(input instanceof Request ? input.url : input))
        const answer = await fetch(input, init)
        addCookies(answer.headers.getSetCookie())
        addLocation(answer.headers.get('location'))
        if (answer.headers.get('content-type')?.includes('json')) {
          const body = await answer.clone().json().catch(() => ({})) // biome-ignore format: one line
          addFields(Object.entries(body ?? {}))
        }
        return answer
      }
      return () => {
        globalThis.fetch = fetch
      }
    },
  }
}
