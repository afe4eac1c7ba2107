import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

const KINDS = ['token', 'family', 'grant', 'session', 'account', 'client']

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table signing_keys
    drop constraint signing_keys_state_check,
    add constraint signing_keys_state_check check (state in ('next', 'active', 'retiring', 'gone')),
    add column published_at timestamptz,
    add column activated_at timestamptz,
    add column retired_at timestamptz,
    add column gone_at timestamptz,
    alter column private_sealed drop not null,
    add constraint signing_keys_private_check check ((state = 'gone') = (private_sealed is null))`.execute(db)
  await sql`update signing_keys set published_at = created_at, activated_at = created_at`.execute(db)
  // Whatever goes wrong above, two keys of one algorithm never sign at a time.
  await sql`create unique index signing_keys_one_active on signing_keys (alg) where state = 'active'`.execute(db)
  await allowEndings(db, [...KINDS, 'key'])
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`delete from endings where kind = 'key'`.execute(db)
  await allowEndings(db, KINDS)
  await sql`drop index signing_keys_one_active`.execute(db)
  await sql`delete from signing_keys where state <> 'active'`.execute(db)
  await sql`alter table signing_keys
    drop constraint signing_keys_private_check,
    drop constraint signing_keys_state_check,
    add constraint signing_keys_state_check check (state in ('active')),
    drop column published_at,
    drop column activated_at,
    drop column retired_at,
    drop column gone_at,
    alter column private_sealed set not null`.execute(db)
}

async function allowEndings(db: Kysely<unknown>, kinds: readonly string[]): Promise<void> {
  await sql`alter table endings drop constraint if exists endings_kind_check`.execute(db)
  await sql`alter table endings add constraint endings_kind_check
    check (kind in (${sql.join(kinds.map((kind) => sql.lit(kind)))}))`.execute(db)
}
