import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table authorization_codes (
    id_hash bytea primary key,
    grant_hash bytea not null,
    payload jsonb not null,
    consumed_at timestamptz,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index authorization_codes_grant on authorization_codes (grant_hash)`.execute(db)
  await sql`create index authorization_codes_expiry on authorization_codes (expires_at)`.execute(db)
  await sql`create table access_tokens (
    id_hash bytea primary key,
    grant_hash bytea,
    family_hash bytea,
    payload jsonb not null,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index access_tokens_grant on access_tokens (grant_hash) where grant_hash is not null`.execute(db)
  await sql`create index access_tokens_family on access_tokens (family_hash) where family_hash is not null`.execute(db)
  await sql`create index access_tokens_expiry on access_tokens (expires_at)`.execute(db)
  await sql`create table refresh_families (
    family_hash bytea primary key,
    grant_hash bytea not null,
    current_hash bytea not null,
    previous_hash bytea,
    generation integer not null,
    rotated_at timestamptz,
    payload jsonb not null,
    expires_at timestamptz not null,
    absolute_expires_at timestamptz not null
  )`.execute(db)
  await sql`create index refresh_families_grant on refresh_families (grant_hash)`.execute(db)
  await sql`create index refresh_families_expiry on refresh_families (expires_at)`.execute(db)
  await sql`create table replays (
    key_hash bytea primary key,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index replays_expiry on replays (expires_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table replays, refresh_families, access_tokens, authorization_codes`.execute(db)
}
