import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table endings (
    kind text not null check (kind in ('token', 'family', 'grant', 'session', 'account', 'client')),
    id_hash bytea not null,
    reason text not null,
    ended_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (kind, id_hash)
  )`.execute(db)
  await sql`create index endings_expiry on endings (expires_at)`.execute(db)
  await sql`create table audit_entries (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    kind text not null,
    actor text not null,
    subject text,
    request_id text,
    detail jsonb not null
  )`.execute(db)
  await sql`create index audit_entries_at on audit_entries (at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table audit_entries, endings`.execute(db)
}
