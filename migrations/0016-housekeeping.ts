import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

/** Rows come and go here all day. */
const BUSY = [
  'access_tokens',
  'refresh_families',
  'authorization_codes',
  'grants',
  'sessions',
  'interactions',
  'replays',
  'endings',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  // Facts have an end, too, which tokens push on: some hold what few tokens share, such as claims that
  // an app asked for.
  await sql`alter table token_facts add column expires_at timestamptz not null default now() + interval '2 days'`.execute(
    db,
  )
  await sql`create index token_facts_expiry on token_facts (expires_at)`.execute(db)
  // Whose epoch is over decides where to look for what it left.
  await sql`alter table ended_epochs add column kind text check (kind in ('account', 'client'))`.execute(db)
  await sql`create index ended_epochs_ended on ended_epochs (ended_at)`.execute(db)
  // What was removed costs those who look for what comes next until it is vacuumed: not first when a fifth of a big table is.
  for (const table of BUSY) {
    await sql`alter table ${sql.table(table)} set (autovacuum_vacuum_scale_factor = 0.02)`.execute(db)
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of BUSY) {
    await sql`alter table ${sql.table(table)} reset (autovacuum_vacuum_scale_factor)`.execute(db)
  }
  await sql`drop index token_facts_expiry, ended_epochs_ended`.execute(db)
  await sql`alter table token_facts drop column expires_at`.execute(db)
  await sql`alter table ended_epochs drop column kind`.execute(db)
}
