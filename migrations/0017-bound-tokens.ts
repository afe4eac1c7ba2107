import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // Beside the facts that tokens have in common: nearly every browser brings a key of its own.
  await sql`alter table access_tokens add column dpop_jkt bytea`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table access_tokens drop column dpop_jkt`.execute(db)
}
