import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // One sequence for all: a value names its owner and the generation of trust in it, and never comes again, also when an id does.
  await sql`create sequence epochs as bigint`.execute(db)
  for (const table of ['accounts', 'clients']) {
    await sql`alter table ${sql.table(table)} add column epoch bigint not null default nextval('epochs')`.execute(db)
    await sql`create unique index ${sql.ref(`${table}_epoch`)} on ${sql.table(table)} (epoch)`.execute(db)
  }
  await sql`alter table sessions add column account_epoch bigint`.execute(db)
  await sql`update sessions set account_epoch = accounts.epoch from accounts where accounts.id = account_id`.execute(db)
  await sql`alter table grants add column account_epoch bigint, add column client_epoch bigint`.execute(db)
  await sql`update grants set account_epoch = accounts.epoch, client_epoch = clients.epoch
    from accounts, clients where accounts.id = account_id and clients.id = client_id`.execute(db)
  await sql`delete from grants where account_epoch is null or client_epoch is null`.execute(db)
  await sql`alter table grants alter column account_epoch set not null, alter column client_epoch set not null`.execute(
    db,
  )
  await sql`create index grants_account_epoch on grants (account_epoch)`.execute(db)
  await sql`create index grants_client_epoch on grants (client_epoch)`.execute(db)
  await sql`create index interactions_login on interactions ((payload -> 'result' -> 'login' ->> 'accountId'))
    where payload -> 'result' -> 'login' ->> 'accountId' is not null`.execute(db)

  // The one place that says which grants stand: those made under the epochs of their account and client that hold now.
  await sql`create view live_grants as
    select grants.id_hash, grants.account_id, grants.client_id, grants.payload, grants.expires_at
    from grants
    join clients on clients.epoch = grants.client_epoch and clients.disabled_at is null
    join accounts on accounts.epoch = grants.account_epoch and accounts.disabled_at is null`.execute(db)

  // Opaque access tokens in narrow rows: what many tokens have in common is kept once. Those of before lived for minutes.
  await sql`drop table access_tokens`.execute(db)
  await sql`create table token_facts (id bigint primary key, facts jsonb not null)`.execute(db)
  await sql`create table access_tokens (
    id_hash bytea primary key,
    facts_id bigint not null,
    client_epoch bigint,
    grant_hash bytea,
    family_hash bytea,
    session_uid text,
    issued_at timestamptz not null,
    expires_at timestamptz not null,
    check ((client_epoch is null) <> (grant_hash is null))
  )`.execute(db)
  await sql`create index access_tokens_grant on access_tokens (grant_hash) where grant_hash is not null`.execute(db)
  await sql`create index access_tokens_family on access_tokens (family_hash) where family_hash is not null`.execute(db)
  await sql`create index access_tokens_expiry on access_tokens (expires_at)`.execute(db)

  await sql`alter table endings drop constraint if exists endings_kind_check`.execute(db)
  await sql`alter table endings add constraint endings_kind_check
    check (kind in ('token', 'family', 'grant', 'session', 'account', 'client', 'key'))`.execute(db)
  // What an ended epoch leaves behind is dead at once; its rows go in the background.
  await sql`create table ended_epochs (epoch bigint primary key, ended_at timestamptz not null)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop view live_grants`.execute(db)
  await sql`drop table ended_epochs, access_tokens, token_facts`.execute(db)
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
  await sql`drop index interactions_login`.execute(db)
  await sql`alter table grants drop column account_epoch, drop column client_epoch`.execute(db)
  await sql`alter table sessions drop column account_epoch`.execute(db)
  await sql`alter table clients drop column epoch`.execute(db)
  await sql`alter table accounts drop column epoch`.execute(db)
  await sql`drop sequence epochs`.execute(db)
}
