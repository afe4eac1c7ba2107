// Keys that sign tokens: made once, kept sealed under the ring's at-rest key.
import type { JWK } from 'jose'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

export type SigningAlgorithm = 'ES256' | 'RS256'

export interface SigningKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly publicJwk: JWK
  readonly privateJwk: JWK
  readonly createdAt: Date
}

export interface SigningKeyStore {
  list(): Promise<readonly SigningKey[]>
  insert(key: SigningKey): Promise<void>
  /** Seals every private key again that was sealed under an older version of the ring. @returns how many that were */
  reseal(): Promise<number>
}

/** @returns the store of signing keys, newest first */
export function createSigningKeyStore({ unit, ring }: { unit: UnitOfWork; ring: KeyRing }): SigningKeyStore {
  const purpose = (kid: string) => `signing-key ${kid}`
  return {
    async list() {
      const db = await unit.read()
      const rows = await db
        .selectFrom('signing_keys')
        .selectAll()
        .orderBy('created_at', 'desc')
        .orderBy('kid')
        .execute()
      return rows.map((row) => ({
        kid: row.kid,
        alg: row.alg as SigningAlgorithm,
        publicJwk: row.public_jwk as JWK,
        privateJwk: JSON.parse(ring.open(purpose(row.kid), row.private_sealed).toString('utf8')) as JWK,
        createdAt: row.created_at,
      }))
    },

    async insert(key) {
      const db = await unit.write()
      await db
        .insertInto('signing_keys')
        .values({
          kid: key.kid,
          alg: key.alg,
          state: 'active',
          public_jwk: JSON.stringify(key.publicJwk),
          private_sealed: ring.seal(purpose(key.kid), Buffer.from(JSON.stringify(key.privateJwk))),
          created_at: key.createdAt,
        })
        .execute()
    },

    async reseal() {
      const db = await unit.write()
      const rows = await db.selectFrom('signing_keys').select(['kid', 'private_sealed']).forUpdate().execute()
      let count = 0
      for (const { kid, private_sealed } of rows) {
        const again = ring.reseal(purpose(kid), private_sealed)
        if (!again) continue
        await db.updateTable('signing_keys').set({ private_sealed: again }).where('kid', '=', kid).execute()
        count += 1
      }
      return count
    },
  }
}
