// Authorization codes: single use is a compare-and-set on their row (RFC 6749 section 4.1.2, OAuth 2.1 section 4.1.3).
import { consumeOnce } from '../db/consume-once.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import { parseOpaque } from '../vocabulary/opaque.ts'

export interface CodeRecord {
  readonly payload: Record<string, unknown>
  readonly consumed: boolean
}

export interface Codes {
  /** @param grant row key of the grant that the code hangs on */
  save(code: string, grant: Buffer, payload: object, expiresAt: Date): Promise<void>
  /** @returns the code, used ones too, while its grant, account and client stand */
  find(code: string): Promise<CodeRecord | undefined>
  /** Marks the code used, if its request is granted. @returns false when it was used before, also by a request that ran at the same time */
  consume(code: string): Promise<boolean>
  destroy(code: string): Promise<void>
}

/** @returns the store of authorization codes */
export function createCodes({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): Codes {
  const key = (code: string) => ring.handle('authorization-code', code)
  return {
    async save(code, grant, payload, expiresAt) {
      const db = await unit.write()
      await db
        .insertInto('authorization_codes')
        .values({
          id_hash: key(code),
          grant_hash: grant,
          payload: JSON.stringify(payload),
          expires_at: expiresAt,
        })
        .execute()
    },

    async find(code) {
      if (parseOpaque(code)?.kind !== 'ac') return undefined
      const db = await unit.read()
      const row = await db
        .selectFrom('authorization_codes as code')
        .innerJoin('live_grants as grant', 'grant.id_hash', 'code.grant_hash')
        .select(['code.payload', 'consumed_at'])
        .where('code.id_hash', '=', key(code))
        .executeTakeFirst()
      return row && { payload: row.payload as Record<string, unknown>, consumed: row.consumed_at !== null }
    },

    async consume(code) {
      const first = await consumeOnce(await unit.write(), 'authorization_codes', key(code), now())
      if (first) unit.onlyIfGranted()
      return first
    },

    async destroy(code) {
      const db = await unit.write()
      await db.deleteFrom('authorization_codes').where('id_hash', '=', key(code)).execute()
    },
  }
}
