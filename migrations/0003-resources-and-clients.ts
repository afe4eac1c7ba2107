import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table resources (
    id text primary key,
    name text not null,
    token_format text not null check (token_format in ('jwt', 'opaque')),
    sign_alg text not null,
    lifetime_seconds integer not null check (lifetime_seconds > 0),
    scopes jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`.execute(db)
  await sql`create table clients (
    id text primary key check (id !~ '^usr_'),
    name text not null,
    kind text not null check (kind in ('web', 'spa', 'native', 'service', 'agent')),
    auth_method text not null,
    first_party boolean not null default false,
    redirect_uris text[] not null default '{}',
    post_logout_redirect_uris text[] not null default '{}',
    response_modes text[] not null default '{query}',
    refresh text not null check (refresh in ('none', 'session', 'offline')),
    scopes jsonb not null,
    serves text[] not null default '{}',
    jwks jsonb,
    jwks_uri text,
    disabled_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`.execute(db)
  await sql`create table client_secrets (
    id text primary key,
    client_id text not null references clients on delete cascade,
    hash bytea not null,
    created_at timestamptz not null,
    expires_at timestamptz
  )`.execute(db)
  await sql`create index client_secrets_client on client_secrets (client_id)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table client_secrets, clients, resources`.execute(db)
}
