// Refresh families: one row each, however often they rotate. A public client's token is replaced at each use; within the
// grace window the same old token gets the same successor again; any later use of an old token ends the family (RFC 9700
// section 4.14.2). Confidential clients keep their token.
import { inTurn, myTurn } from '../db/in-turn.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { type KeyRing, sameHash } from '../secrets/key-ring.ts'
import { createFamilyNames, type FamilyNames } from './family.ts'

/** For this long the token before the current one gets the same successor again: a client that lost the answer retries. */
export const GRACE_SECONDS = 10
const TOUCH_AFTER_SECONDS = 24 * 60 * 60

export interface FamilyRecord {
  readonly payload: Record<string, unknown>
  /** `current` may be used; `grace` was replaced a moment ago and may be used again; `reused` ends the family */
  readonly state: 'current' | 'grace' | 'reused'
  readonly expiresAt: Date
}

export interface NewFamily {
  /** row key of the grant that the family hangs on */
  readonly grant: Buffer
  readonly payload: object
  /** when it ends if nobody uses it */
  readonly expiresAt: Date
  /** when it ends in any case */
  readonly absoluteExpiresAt: Date
}

export interface Families {
  readonly names: FamilyNames
  /** @param token the first of the family */
  start(token: string, family: NewFamily): Promise<void>
  /** @returns what is known of a refresh token, while its grant, account and client stand */
  find(token: string): Promise<FamilyRecord | undefined>
  /**
   * Replaces the presented token by its successor, if the request is granted, or confirms that this has happened within the grace window.
   * @returns `rotated`, `repeated`, or `refused` when the token is neither current nor within grace any more
   */
  rotate(presented: string): Promise<'rotated' | 'repeated' | 'refused'>
  /** Stores what the successor carries; nothing happens when it has been used meanwhile. */
  describe(successor: string, payload: object, expiresAt: Date): Promise<void>
  /** Moves the idle end of a token that is not rotated, at most once a day. */
  touch(token: string, expiresAt: Date): Promise<void>
  /** Deletes the family's row. @returns whether there was one */
  remove(familyHash: Buffer): Promise<boolean>
}

/** @returns the store of refresh families */
export function createFamilies({ unit, ring, now }: { unit: UnitOfWork; ring: KeyRing; now: () => Date }): Families {
  const names = createFamilyNames(ring)

  // A rotation that lies ahead was noted before the clock was put back: nobody knows how long ago that was.
  const inGrace = (rotatedAt: Date | null) =>
    rotatedAt !== null && Math.abs(now().getTime() - rotatedAt.getTime()) <= GRACE_SECONDS * 1000

  async function row(token: string) {
    const family = names.ofToken(token)
    if (!family) return undefined
    const db = await unit.read()
    return db
      .selectFrom('refresh_families as family')
      .innerJoin('live_grants as grant', 'grant.id_hash', 'family.grant_hash')
      .selectAll('family')
      .where('family_hash', '=', family)
      .executeTakeFirst()
  }

  function stateOf(
    token: string,
    family: { current_hash: Buffer; previous_hash: Buffer | null; rotated_at: Date | null },
  ) {
    const hash = names.hash(token)
    if (sameHash(hash, family.current_hash)) return 'current'
    return family.previous_hash && sameHash(hash, family.previous_hash) && inGrace(family.rotated_at)
      ? 'grace'
      : 'reused'
  }

  return {
    names,

    async start(token, { grant, payload, expiresAt, absoluteExpiresAt }) {
      const family = names.ofToken(token)
      if (!family) throw new Error('a family starts with a refresh token of ours')
      const db = await unit.write()
      await db
        .insertInto('refresh_families')
        .values({
          family_hash: family,
          grant_hash: grant,
          current_hash: names.hash(token),
          generation: 1,
          payload: JSON.stringify(payload),
          expires_at: expiresAt,
          absolute_expires_at: absoluteExpiresAt,
        })
        .execute()
    },

    async find(token) {
      const family = await row(token)
      if (!family) return undefined
      return {
        payload: family.payload as Record<string, unknown>,
        state: stateOf(token, family),
        expiresAt: new Date(Math.min(family.expires_at.getTime(), family.absolute_expires_at.getTime())),
      }
    },

    async rotate(presented) {
      const family = names.ofToken(presented)
      if (!family) return 'refused'
      const db = await unit.write()
      const presentedHash = names.hash(presented)
      return inTurn(async () => {
        const result = await db
          .updateTable('refresh_families')
          .set((eb) => ({
            previous_hash: presentedHash,
            current_hash: names.hash(names.successor(presented)),
            generation: eb('generation', '+', 1),
            rotated_at: now(),
          }))
          .where('family_hash', '=', family)
          .where('current_hash', '=', presentedHash)
          .where(myTurn(family))
          .executeTakeFirst()
        if (result.numUpdatedRows === 1n) {
          // Otherwise nobody would have the successor, and the next use of the token would look like that of a thief.
          unit.onlyIfGranted()
          return 'rotated'
        }
        const after = await row(presented)
        const state = after && stateOf(presented, after)
        return state === 'current' ? 'undecided' : state === 'grace' ? 'repeated' : 'refused'
      })
    },

    async describe(successor, payload, expiresAt) {
      const family = names.ofToken(successor)
      if (!family) throw new Error('only a refresh token of ours can be described')
      const db = await unit.write()
      await db
        .updateTable('refresh_families')
        .set({ payload: JSON.stringify(payload), expires_at: expiresAt })
        .where('family_hash', '=', family)
        .where('current_hash', '=', names.hash(successor))
        .execute()
    },

    async touch(token, expiresAt) {
      const family = await row(token)
      if (!family || expiresAt.getTime() - family.expires_at.getTime() < TOUCH_AFTER_SECONDS * 1000) return
      const db = await unit.write()
      await db
        .updateTable('refresh_families')
        .set({ expires_at: expiresAt })
        .where('family_hash', '=', family.family_hash)
        .execute()
    },

    async remove(familyHash) {
      const db = await unit.write()
      const result = await db.deleteFrom('refresh_families').where('family_hash', '=', familyHash).executeTakeFirst()
      return result.numDeletedRows > 0n
    },
  }
}
