import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // `uid` is not unique: a login changes the session's id and keeps its uid, and two such logins may overlap.
  await sql`create table sessions (
    id_hash bytea primary key,
    uid text not null,
    account_id text,
    payload jsonb not null,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index sessions_uid on sessions (uid)`.execute(db)
  await sql`create index sessions_account on sessions (account_id)`.execute(db)
  await sql`create index sessions_expiry on sessions (expires_at)`.execute(db)
  await sql`create table interactions (
    id_hash bytea primary key,
    payload jsonb not null,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index interactions_expiry on interactions (expires_at)`.execute(db)
  await sql`create table grants (
    id_hash bytea primary key,
    account_id text,
    client_id text not null,
    payload jsonb not null,
    expires_at timestamptz
  )`.execute(db)
  await sql`create index grants_account on grants (account_id, client_id)`.execute(db)
  await sql`create index grants_client on grants (client_id)`.execute(db)
  await sql`create index grants_expiry on grants (expires_at)`.execute(db)
  await sql`create table consents (
    account_id text not null references accounts on delete cascade,
    client_id text not null references clients on delete cascade,
    scopes jsonb not null,
    updated_at timestamptz not null,
    primary key (account_id, client_id)
  )`.execute(db)
  await sql`create index consents_client on consents (client_id)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table consents, grants, interactions, sessions`.execute(db)
}
