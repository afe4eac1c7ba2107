// What a signing key is, and the states it goes through.
import type { JWK } from 'jose'

export const SIGNING_ALGORITHMS = ['ES256', 'RS256'] as const
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number]

/**
 * `next`: published, signs nothing yet. `active`: signs; one per algorithm. `retiring`: signs no more, still published, its
 * tokens hold. `gone`: not published, private part deleted, its tokens fail.
 */
export type KeyState = 'next' | 'active' | 'retiring' | 'gone'

/** A key as everybody may see it. */
export interface KeyRecord {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly state: KeyState
  readonly publicJwk: JWK
  readonly createdAt: Date
  readonly publishedAt: Date
  readonly activatedAt?: Date
  readonly retiredAt?: Date
  readonly goneAt?: Date
}

/** A key with its private part, which leaves the process sealed only. */
export interface SigningKey extends KeyRecord {
  readonly privateJwk: JWK
}

/** A key that is in no state yet. */
export type FreshKey = Pick<SigningKey, 'kid' | 'alg' | 'publicJwk' | 'privateJwk' | 'createdAt'>
