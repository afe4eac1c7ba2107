import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table pushed_requests (
    id_hash bytea primary key,
    client_id text not null,
    request text not null,
    trusted boolean not null,
    dpop_jkt text,
    consumed_at timestamptz,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index pushed_requests_expiry on pushed_requests (expires_at)`.execute(db)
  await sql`alter table clients
    add column require_par boolean not null default false,
    add column dpop text not null default 'optional' check (dpop in ('optional', 'required', 'nonce'))`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table pushed_requests`.execute(db)
  await sql`alter table clients drop column require_par, drop column dpop`.execute(db)
}
