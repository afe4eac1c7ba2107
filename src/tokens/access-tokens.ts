// Opaque access tokens, of people and of clients. JWT access tokens are never stored. A token is found only together with
// what it hangs on: its grant and family, or the epoch of the client that got it for itself.
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
  /** @returns the token, while its family, grant, account and client stand; read in one statement on each use */
  find(token: string): Promise<AccessToken | undefined>
  /** @returns whether there was one */
  destroy(token: string): Promise<boolean>
  removeByFamily(familyHash: Buffer): Promise<void>
}

/** @returns a new opaque value of 256 random bits, for an access token or an authorization code */
export function mintOpaque(kind: 'at' | 'ac', ringVersion: number): string {
  return formatOpaque(kind, randomBytes(32), ringVersion)
}

/** Facts outlive the token that was the last to look by this, so that the next ones need not write. */
const FACTS_MARGIN_SECONDS = 24 * 60 * 60

/** @returns the store of opaque access tokens */
export function createAccessTokens({ unit, ring }: { unit: UnitOfWork; ring: KeyRing }): AccessTokens {
  const key = (token: string) => ring.handle('access-token', token)
  // Under the pepper, so that nobody can look for two sets of facts with one id.
  const factsId = (facts: string) => ring.handle('token-facts', facts).readBigInt64BE().toString()
  return {
    async save(token, owner, facts, { binding, issuedAt, expiresAt }) {
      const text = JSON.stringify(facts)
      const id = factsId(text)
      const ofGrant = 'grant' in owner ? owner : undefined
      const jkt = binding.jkt === undefined ? null : Buffer.from(binding.jkt, 'base64url')
      const factsEnd = new Date(expiresAt.getTime() + FACTS_MARGIN_SECONDS * 1000)
      const db = await unit.write()
      // While the facts that are there last long enough, nothing is written to them: their row is shared by many tokens, and
      // whoever locks it lets the others wait.
      await sql`with known as (
          insert into token_facts (id, facts, expires_at)
          select ${id}::bigint, ${text}::jsonb, ${factsEnd}::timestamptz
          where not exists (select from token_facts where id = ${id}::bigint and expires_at > ${expiresAt}::timestamptz)
          on conflict (id) do update set expires_at = greatest(token_facts.expires_at, excluded.expires_at))
        insert into access_tokens
          (id_hash, facts_id, client_epoch, grant_hash, family_hash, session_uid, dpop_jkt, issued_at, expires_at)
        values (${key(token)}, ${id}, ${'clientEpoch' in owner ? owner.clientEpoch : null}, ${ofGrant?.grant ?? null},
          ${ofGrant?.family ?? null}, ${ofGrant?.sessionUid ?? null}, ${jkt}, ${issuedAt}, ${expiresAt})`.execute(db)
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
        // The rows of a family go when it ends; a refresh that was on its way may add one after that.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('endings')
                .select('kind')
                .where('kind', '=', 'family')
                .whereRef('endings.id_hash', '=', 'token.family_hash'),
            ),
          ),
        )
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
