import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

/** What is kept in memory of each table; `idle` columns change without making it old. */
const WATCHED: Record<string, { topic: string; idle?: readonly string[] }> = {
  clients: { topic: 'clients' },
  client_secrets: { topic: 'clients', idle: ['last_used_at', 'hash_version'] },
  resources: { topic: 'resources' },
  signing_keys: { topic: 'signing-keys' },
  key_ring: { topic: 'key-ring' },
}

/** Rows per topic: as many may write at once without waiting for one another. */
const SLOTS = 8

export async function up(db: Kysely<unknown>): Promise<void> {
  // A topic's version is all of its rows together. One row would do, but it stays locked until its writer commits: two
  // writers of different clients would wait for each other, and in an unlucky order for ever.
  await sql`create table versions (
    topic text not null,
    slot integer not null,
    version bigint not null,
    primary key (topic, slot)
  )`.execute(db)
  const topics = [...new Set(Object.values(WATCHED).map(({ topic }) => topic))]
  await sql`insert into versions select topic, slot, 0
    from unnest(${topics}::text[]) topic, generate_series(1, ${sql.lit(SLOTS)}) slot`.execute(db)
  await makeBump(db)
  await makeTouched(db)
  for (const [table, { topic, idle = [] }] of Object.entries(WATCHED)) {
    const call = sql`execute function versions_touched(${sql.lit(topic)}, ${sql.lit(idle.join(','))})`
    const on = sql.table(table)
    await sql`create trigger versions_insert after insert on ${on}
      referencing new table as made for each statement ${call}`.execute(db)
    await sql`create trigger versions_update after update on ${on}
      referencing old table as gone new table as made for each statement ${call}`.execute(db)
    await sql`create trigger versions_delete after delete on ${on}
      referencing old table as gone for each statement ${call}`.execute(db)
    await sql`create trigger versions_truncate after truncate on ${on} for each statement ${call}`.execute(db)
  }
}

/** Counts on once per transaction, in a row that nobody else holds, and tells who listens when it commits. */
async function makeBump(db: Kysely<unknown>): Promise<void> {
  await sql`create function versions_bump(changed text) returns void language plpgsql set search_path from current as $$
    declare
      this_one constant bigint := pg_current_xact_id()::text::bigint;
    begin
      if exists (select from versions where topic = changed and version = this_one) then
        return;
      end if;
      update versions set version = this_one where topic = changed and slot = (
        select slot from versions where topic = changed order by slot limit 1 for update skip locked);
      if not found then
        update versions set version = this_one where topic = changed and slot = 1;
      end if;
      perform pg_notify('gatehouse', changed);
    end $$`.execute(db)
}

/** A statement that changed no row, or idle columns only, makes nothing old. */
async function makeTouched(db: Kysely<unknown>): Promise<void> {
  await sql`create function versions_touched() returns trigger language plpgsql set search_path from current as $$
    declare
      idle constant text[] := string_to_array(tg_argv[1], ',');
      real boolean := true;
    begin
      if tg_op = 'INSERT' then
        real := exists (select from made);
      elsif tg_op = 'DELETE' then
        real := exists (select from gone);
      elsif tg_op = 'UPDATE' then
        real := exists (select to_jsonb(made) - idle from made except all select to_jsonb(gone) - idle from gone);
      end if;
      if real then
        perform versions_bump(tg_argv[0]);
      end if;
      return null;
    end $$`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of Object.keys(WATCHED)) {
    for (const event of ['insert', 'update', 'delete', 'truncate']) {
      await sql`drop trigger ${sql.ref(`versions_${event}`)} on ${sql.table(table)}`.execute(db)
    }
  }
  await sql`drop function versions_touched(), versions_bump(text)`.execute(db)
  await sql`drop table versions`.execute(db)
}
