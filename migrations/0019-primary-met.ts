import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // The primary that this database was last used on. `promoted_at` is null until there has been another one.
  await sql`create table primary_met (
    id integer primary key check (id = 1),
    system text not null,
    timeline integer not null,
    promoted_at timestamptz
  )`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table primary_met`.execute(db)
}
