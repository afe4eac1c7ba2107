// Verifiers of access tokens as APIs have them, each with its own way to keep the key set: those of jose, our own, and one that
// keeps what it was given for as long as it may and never asks before.
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type JSONWebKeySet, jwtVerify } from 'jose'
import { createAccessTokenVerifier } from '../../src/verifier/access-token.ts'
import { createRemoteKeySet, KEY_AGES, type KeyAges } from '../../src/verifier/remote-key-set.ts'

export interface KeyVerifier {
  readonly name: string
  /** @returns why it refuses, undefined when it does not */
  refusal(token: string): Promise<string | undefined>
}

interface Parts {
  readonly issuer: string
  readonly fetchKeys: () => Promise<JSONWebKeySet>
  /** how long each keeps a key set, in milliseconds before they are divided */
  readonly caches: readonly number[]
  /** what all times are divided by, the limits of fetching again included */
  readonly divisor: number
}

/** @returns three verifiers for each cache */
export function createKeyVerifiers({ issuer, fetchKeys, caches, divisor }: Parts): KeyVerifier[] {
  return caches.flatMap((cache) => {
    const kept = cache / divisor
    const name = `cache of ${cache / 1000} s`
    return [
      { name: `obedient, ${name}`, refusal: joseRefusal(issuer, obedientKeys(fetchKeys, kept)) },
      { name: `jose, ${name}`, refusal: joseRefusal(issuer, joseKeys(issuer, fetchKeys, kept, 30_000 / divisor)) },
      { name: `ours, ${name}`, refusal: ourRefusal(issuer, fetchKeys, kept, divisor) },
    ]
  })
}

function joseRefusal(issuer: string, keys: Parameters<typeof jwtVerify>[1]) {
  return async (token: string) => {
    try {
      await jwtVerify(token, keys, { issuer, typ: 'at+jwt' })
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }
}

/** Goes by `max-age` alone (RFC 9111): the verifier for whose sake a key is published before it signs. */
function obedientKeys(fetchKeys: Parts['fetchKeys'], kept: number): Parameters<typeof jwtVerify>[1] {
  let copy: { keys: ReturnType<typeof createLocalJWKSet>; until: number } | undefined
  return async (header, token) => {
    if (!copy || Date.now() >= copy.until) {
      const until = Date.now() + kept
      copy = { keys: createLocalJWKSet(await fetchKeys()), until }
    }
    return copy.keys(header, token)
  }
}

function joseKeys(issuer: string, fetchKeys: Parts['fetchKeys'], cacheMaxAge: number, cooldownDuration: number) {
  return createRemoteJWKSet(new URL(`${issuer}/jwks`), {
    cacheMaxAge,
    cooldownDuration,
    [customFetch]: async () => Response.json(await fetchKeys()),
  })
}

function ourRefusal(issuer: string, fetchKeys: Parts['fetchKeys'], kept: number, divisor: number) {
  const scaled = Object.entries(KEY_AGES).map(([name, age]) => [name, age / divisor])
  const ages: KeyAges = { ...Object.fromEntries(scaled), fresh: kept, freshAtLeast: kept, freshAtMost: kept }
  const now = () => new Date()
  const load = async () => ({ jwks: await fetchKeys() })
  const verify = createAccessTokenVerifier({
    issuer,
    audience: null,
    keys: createRemoteKeySet({ load, now }, ages),
    now,
  })
  return async (token: string) => {
    const verdict = await verify(token)
    return verdict.ok ? undefined : `${verdict.reason} ${verdict.detail ?? ''}`
  }
}
