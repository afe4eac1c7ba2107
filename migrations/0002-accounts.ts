import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // The prefix keeps subjects and client ids disjoint (RFC 9700 section 4.15): a client id may not begin with it.
  await sql`create table accounts (
    id text primary key check (id ~ '^usr_[0-9A-Za-z]+$'),
    email text not null,
    email_key text not null unique,
    name text,
    password_hash text,
    role text not null default 'user' check (role in ('user', 'admin')),
    disabled_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`.execute(db)
  await sql`create table account_links (
    token_hash bytea primary key,
    purpose text not null check (purpose in ('set-password', 'admin-setup')),
    account_id text references accounts on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz,
    created_at timestamptz not null,
    check ((purpose = 'admin-setup') = (account_id is null))
  )`.execute(db)
  await sql`create index account_links_account on account_links (account_id)`.execute(db)
  await sql`create index account_links_expiry on account_links (expires_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table account_links, accounts`.execute(db)
}
