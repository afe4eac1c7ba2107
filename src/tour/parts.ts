// What the tour may do: ask a running server over HTTP, and make and remove things whose names begin with `try-`.
import { randomBytes } from 'node:crypto'
import type { ClientFields } from '../clients/client.ts'
import { OperatorFault } from '../vocabulary/fault.ts'

export interface TourParts {
  readonly issuer: string
  /** URL of the local gateway */
  readonly gateway: string
  addClient(fields: ClientFields): Promise<{ secret?: string }>
  removeClient(id: string): Promise<unknown>
  listClients(): Promise<readonly { id: string }[]>
  addUser(person: { email: string; name: string; password: string }): Promise<{ id: string }>
  removeUser(email: string): Promise<unknown>
  listUsers(prefix: string): Promise<readonly { email: string }[]>
}

export interface TourOptions {
  readonly say: (line: string) => void
  /** leave what was made for the next start to remove, so that the commands can be run by hand */
  readonly keep?: boolean
}

/** Every name that the tour makes begins so. */
export const TRY_PREFIX = 'try-'

/** @returns a name that nobody has */
export function tryName(kind: 'm2m' | 'web' | 'ada'): string {
  return `${TRY_PREFIX}${kind}-${randomBytes(4).toString('hex')}`
}

/** @returns an address for a person of the tour that nobody has */
export function tryEmail(): string {
  return `${tryName('ada')}@example.com`
}

/** @returns whether the tour made a client of this id, or a person of this address: `try-out` is an operator's own */
export function isTryName(name: string): boolean {
  return /^try-(?:(?:m2m|web)-[0-9a-f]{8}|ada-[0-9a-f]{8}@example\.com)$/.test(name)
}

/** One answer of the server or the gateway. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** the body as JSON, `{}` where it is none */
  readonly json: Record<string, unknown>
}

/**
 * Sends a request and follows no redirect.
 * @throws OperatorFault when nobody answers at that address
 */
export async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(10_000), ...init }).catch(
    (cause) => {
      throw new OperatorFault(
        `Nobody answers at ${new URL(url).origin}.`,
        'Start Gatehouse with "npm start" in another terminal; the demo API is there with the embedded database, or with --demo.',
        { cause },
      )
    },
  )
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: parse(text) }
}

/** Posts a form, with HTTP Basic where a secret is given. */
export function postForm(
  url: string,
  fields: Record<string, string>,
  client?: { id: string; secret: string },
): Promise<Answer> {
  const basic = client && Buffer.from(`${client.id}:${client.secret}`).toString('base64')
  return ask(url, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers: basic ? { authorization: `Basic ${basic}` } : {},
  })
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
