// Opaque access tokens, of people and of clients. JWT access tokens are never stored. A token is found only together with
// what it hangs on: its grant, or the epoch of the client that got it for itself.
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import { formatOpaque, parseOpaque } from '../vocabulary/opaque.ts'

/** What a token hangs on: a grant (its row key), or a client's own epoch. */
export type TokenOwner =
  | { readonly grant: Buffer; readonly family?: Buffer; readonly sessionUid?: string }
  | { readonly clientEpoch: string }

export interface AccessToken {
  /** audience, scope and whatever else many tokens have in common */
  readonly facts: Readonly<Record<string, unknown>>
  readonly clientId: string
  /** of a person's token; the row key of its grant, and the name of the login session it came from */
  readonly person?: { readonly accountId: string; readonly grant: Buffer; readonly sessionUid?: string }
  readonly binding: TokenBinding
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** Thumbprint of the key that whoever presents the token must have, base64url (RFC 9449 section 6). */
export interface TokenBinding {
  readonly jkt?: string
}

export interface AccessTokens {
  save(
    token: string,
    owner: TokenOwner,
    facts: object,
    rest: { binding: TokenBinding; issuedAt: Date; expiresAt: Date },
  ): Promise<void>
  /** @returns the token, while its grant, account and client stand; read in one statement on each use */
  find(token: string): Promise<AccessToken | undefined>
  /** @returns whether there was one */
  destroy(token: string): Promise<boolean>
  removeByFamily(familyHash: Buffer): Promise<void>
}

/** @returns a new opaque value of 256 random bits, for an access token or an authorization code */
export function mintOpaque(kind: 'at' | 'ac', ringVersion: number): string {
  return formatOpaque(kind, randomBytes(32), ringVersion)
}

/** @returns the store of opaque access tokens */
export function createAccessTokens({ unit, ring }: { unit: UnitOfWork; ring: KeyRing }): AccessTokens {
  const key = (token: string) => ring.handle('access-token', token)
  // Under the pepper, so that nobody can look for two sets of facts with one id.
  const factsId = (facts: string) => ring.handle('token-facts', facts).readBigInt64BE().toString()
  return {
    async save(token, owner, facts, { binding, issuedAt, expiresAt }) {
      const text = JSON.stringify(facts)
      const ofGrant = 'grant' in owner ? owner : undefined
      const db = await unit.write()
      await db
        .with('known', (known) =>
          known
            .insertInto('token_facts')
            .values({ id: factsId(text), facts: text })
            .onConflict((conflict) => conflict.column('id').doNothing()),
        )
        .insertInto('access_tokens')
        .values({
          id_hash: key(token),
          facts_id: factsId(text),
          client_epoch: 'clientEpoch' in owner ? owner.clientEpoch : null,
          grant_hash: ofGrant?.grant ?? null,
          family_hash: ofGrant?.family ?? null,
          session_uid: ofGrant?.sessionUid ?? null,
          dpop_jkt: binding.jkt === undefined ? null : Buffer.from(binding.jkt, 'base64url'),
          issued_at: issuedAt,
          expires_at: expiresAt,
        })
        .execute()
    },

    async find(token) {
      if (parseOpaque(token)?.kind !== 'at') return undefined
      const db = await unit.read()
      const row = await db
        .selectFrom('access_tokens as token')
        .innerJoin('token_facts', 'token_facts.id', 'token.facts_id')
        .leftJoin('live_grants as grant', 'grant.id_hash', 'token.grant_hash')
        .leftJoin('clients', (join) =>
          join.onRef('clients.epoch', '=', 'token.client_epoch').on('clients.disabled_at', 'is', null),
        )
        .select(['facts', 'grant_hash', 'session_uid', 'dpop_jkt', 'issued_at', 'token.expires_at', 'grant.account_id'])
        .select(sql<string | null>`coalesce(${sql.ref('grant.client_id')}, clients.id)`.as('client_id'))
        .where('token.id_hash', '=', key(token))
        .executeTakeFirst()
      if (!row?.client_id) return undefined
      return {
        facts: row.facts as Record<string, unknown>,
        clientId: row.client_id,
        ...(row.grant_hash &&
          row.account_id !== null && {
            person: {
              accountId: row.account_id,
              grant: row.grant_hash,
              ...(row.session_uid !== null && { sessionUid: row.session_uid }),
            },
          }),
        binding: row.dpop_jkt ? { jkt: row.dpop_jkt.toString('base64url') } : {},
        issuedAt: row.issued_at,
        expiresAt: row.expires_at,
      }
    },

    async destroy(token) {
      const db = await unit.write()
      const result = await db.deleteFrom('access_tokens').where('id_hash', '=', key(token)).executeTakeFirst()
      return result.numDeletedRows === 1n
    },

    async removeByFamily(familyHash) {
      const db = await unit.write()
      await db.deleteFrom('access_tokens').where('family_hash', '=', familyHash).execute()
    },
  }
}
