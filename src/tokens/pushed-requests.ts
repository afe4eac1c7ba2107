// Pushed authorization requests (RFC 9126): kept under the hash of their handle, for the client that pushed them, and good for
// one authorization, which is a compare-and-set on their row.
import { consumeOnce } from '../db/consume-once.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'

export interface PushedRequest {
  /** the parameters, as the unsigned JWT that the engine makes of them */
  readonly request: string
  /** whether the client had proved who it is */
  readonly trusted: boolean
  /** thumbprint of the key that the code will be bound to (RFC 9449 section 10) */
  readonly dpopJkt?: string
}

export interface PushedRequestRecord extends PushedRequest {
  readonly clientId: string
  readonly consumed: boolean
  readonly expiresAt: Date
}

export interface PushedRequests {
  /** @returns the row key of a request's handle; a name that opens nothing at the authorization endpoint */
  key(handle: string): Buffer
  save(key: Buffer, clientId: string, request: PushedRequest, expiresAt: Date): Promise<void>
  /** @returns the request, used and expired ones too */
  find(key: Buffer): Promise<PushedRequestRecord | undefined>
  /** Marks the request used. @returns false when it was used before, also by a request that ran at the same time */
  consume(key: Buffer): Promise<boolean>
}

/** @returns the store of pushed requests */
export function createPushedRequests({
  unit,
  ring,
  now,
}: {
  unit: UnitOfWork
  ring: KeyRing
  now: () => Date
}): PushedRequests {
  return {
    key: (handle) => ring.handle('pushed-request', handle),

    async save(key, clientId, { request, trusted, dpopJkt }, expiresAt) {
      const db = await unit.write()
      await db
        .insertInto('pushed_requests')
        .values({
          id_hash: key,
          client_id: clientId,
          request,
          trusted,
          dpop_jkt: dpopJkt ?? null,
          expires_at: expiresAt,
        })
        .execute()
    },

    async find(key) {
      const db = await unit.read()
      const row = await db.selectFrom('pushed_requests').selectAll().where('id_hash', '=', key).executeTakeFirst()
      return (
        row && {
          clientId: row.client_id,
          request: row.request,
          trusted: row.trusted,
          ...(row.dpop_jkt !== null && { dpopJkt: row.dpop_jkt }),
          consumed: row.consumed_at !== null,
          expiresAt: row.expires_at,
        }
      )
    },

    consume: async (key) => consumeOnce(await unit.write(), 'pushed_requests', key, now()),
  }
}
