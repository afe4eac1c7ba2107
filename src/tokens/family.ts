// Names of refresh families. Everything that comes from one authorization code is one family: its refresh tokens and the
// access tokens issued beside them. The name is derived from the code, so that the first access token, which is made before
// the first refresh token, can carry it.
import { randomBytes } from 'node:crypto'
import type { KeyRing } from '../secrets/key-ring.ts'
import { formatOpaque, parseOpaque } from '../vocabulary/opaque.ts'
import { markId, ringVersionOf } from '../vocabulary/ring-mark.ts'

const FAMILY_BYTES = 16

/** Names and successors of refresh tokens; nothing here is stored. */
export interface FamilyNames {
  /** @returns the first refresh token of the family that begins with this code */
  first(code: string): string
  /** @returns the one successor of a refresh token: HMAC(pepper, family, presented), the same however often it is asked for */
  successor(presented: string): string
  /** @returns the row key of the family that begins with this code */
  ofCode(code: string): Buffer
  /** @returns the row key of a refresh token's family, or undefined when the text is no refresh token of ours */
  ofToken(token: string): Buffer | undefined
  /** @returns the lookup hash of one refresh token */
  hash(token: string): Buffer
}

/**
 * @returns naming functions. A family stays under the ring version of its code: its name and its successors are the same
 *   whatever becomes of the ring meanwhile
 */
export function createFamilyNames(ring: KeyRing): FamilyNames {
  const idOfCode = (code: string) => ring.keyedHash('refresh-family', code).subarray(0, FAMILY_BYTES)
  // The id inside a refresh token is not the row key: a resource server sees the row key in JWT access tokens and must not be
  // able to forge a token that looks like reuse and ends the family.
  const rowKey = (id: Buffer, origin: string) =>
    ring.handle('family', markId(ringVersionOf(origin), id.toString('base64url')))
  const idOfToken = (token: string) => {
    const parsed = parseOpaque(token)
    return parsed?.kind === 'rt' && parsed.body.length > FAMILY_BYTES
      ? parsed.body.subarray(0, FAMILY_BYTES)
      : undefined
  }
  return {
    first: (code) => formatOpaque('rt', Buffer.concat([idOfCode(code), randomBytes(32)]), ringVersionOf(code)),
    successor(presented) {
      const id = idOfToken(presented)
      if (!id) throw new Error('only a refresh token of ours has a successor')
      const body = Buffer.concat([id, ring.keyedHash('refresh-successor', presented)])
      return formatOpaque('rt', body, ringVersionOf(presented))
    },
    ofCode: (code) => rowKey(idOfCode(code), code),
    ofToken(token) {
      const id = idOfToken(token)
      return id && rowKey(id, token)
    },
    hash: (token) => ring.keyedHash('refresh-token', token),
  }
}
