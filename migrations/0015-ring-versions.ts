import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // Names what is in the ring. Wrapping it under another secret changes nothing for whoever has it open.
  await sql`alter table key_ring add column revision integer not null default 1`.execute(db)
  // The version of the ring that a client secret is hashed under: secrets outlive many.
  await sql`alter table client_secrets add column hash_version integer not null default 1`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table client_secrets drop column hash_version`.execute(db)
  await sql`alter table key_ring drop column revision`.execute(db)
}
