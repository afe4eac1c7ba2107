import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table throttle_buckets (
    key bytea primary key,
    expires_at timestamptz not null
  )`.execute(db)
  await sql`create index throttle_buckets_expiry on throttle_buckets (expires_at)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table throttle_buckets`.execute(db)
}
