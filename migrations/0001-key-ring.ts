import { type Kysely, sql } from 'kysely'

/** The oldest Gatehouse version that can work with the tables as this migration leaves them. */
export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table key_ring (
    id integer primary key check (id = 1),
    wrapped bytea not null,
    updated_at timestamptz not null
  )`.execute(db)
  await sql`create table signing_keys (
    kid text primary key,
    alg text not null,
    state text not null check (state in ('active')),
    public_jwk jsonb not null,
    private_sealed bytea not null,
    created_at timestamptz not null
  )`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table signing_keys, key_ring`.execute(db)
}
