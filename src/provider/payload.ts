// What the engine gives its adapters to keep, and gets back.
import type { AdapterPayload } from 'oidc-provider'

export type Payload = Record<string, unknown>

/** @returns what is kept of a payload: all but what is kept as a key */
export function without(payload: object, key: string): Payload {
  const { [key]: _, ...rest } = payload as Payload
  return rest
}

/** @returns a payload as the engine wants it, with what was not kept in it; nothing for nothing */
export function given(payload: Payload | undefined, more: Payload): AdapterPayload | undefined {
  return payload && ({ ...payload, ...more } as AdapterPayload)
}

/** @returns the end of an artefact that lives so many seconds from now */
export function after(now: () => Date, seconds: number | undefined): Date {
  if (seconds === undefined) throw new Error('an artefact of the engine has no lifetime')
  return new Date(now().getTime() + seconds * 1000)
}
