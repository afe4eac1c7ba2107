import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // Sessions are found by their account: with it, what an epoch left of them needs no index of its own.
  await sql`alter table ended_epochs add column account_id text`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table ended_epochs drop column account_id`.execute(db)
}
