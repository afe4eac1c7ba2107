// Oracle b and d: triggers note every change of state beside the audit entries, each with its transaction. What was audited
// and what was changed must be the same, transaction by transaction; nothing of it is in the product.
import type pg from 'pg'
import type { AuditKind } from '../src/audit/entry.ts'

/** table, event, condition, and what it is called */
const CHANGES: readonly (readonly [string, string, string, string])[] = [
  ['authorization_codes', 'insert', 'true', 'code made'],
  ['authorization_codes', 'update', 'old.consumed_at is null and new.consumed_at is not null', 'code consumed'],
  ['refresh_families', 'insert', 'true', 'family made'],
  ['refresh_families', 'update', 'new.generation > old.generation', 'family rotated'],
  // Rows whose time is over leave without a word.
  ['refresh_families', 'delete', 'least(old.expires_at, old.absolute_expires_at) > now()', 'family removed'],
  ['access_tokens', 'insert', 'true', 'token made'],
  ['grants', 'insert', 'true', 'grant made'],
  ['grants', 'update', 'new.payload is distinct from old.payload', 'grant changed'],
  ['accounts', 'update', 'new.epoch is distinct from old.epoch', 'account ended'],
  ['clients', 'update', 'new.epoch is distinct from old.epoch', 'client ended'],
  ['client_secrets', 'insert', 'true', 'secret made'],
  ['consents', 'insert', 'true', 'consent changed'],
  ['consents', 'update', 'new.scopes is distinct from old.scopes', 'consent changed'],
  ['accounts', 'insert', 'true', 'account made'],
  ['accounts', 'update', 'new.password_hash is distinct from old.password_hash', 'password changed'],
  ['clients', 'insert', 'true', 'client made'],
  ['key_ring', 'update', 'true', 'key ring changed'],
  ['signing_keys', 'insert', "new.state = 'next'", 'key published'],
  ['signing_keys', 'insert', "new.state = 'active'", 'key activated'],
  ['signing_keys', 'update', "new.state = 'active' and old.state <> 'active'", 'key activated'],
  ['signing_keys', 'update', "new.state = 'retiring' and old.state <> 'retiring'", 'key retired'],
  ['signing_keys', 'update', "new.state = 'gone' and old.state <> 'gone'", 'key gone'],
  ['account_links', 'update', 'old.used_at is null and new.used_at is not null', 'link used'],
  ['pushed_requests', 'delete', 'old.expires_at > now()', 'pushed request removed'],
  ['account_links', 'insert', 'true', 'link made'],
  ['accounts', 'update', 'new.name is distinct from old.name', 'account changed'],
  ['accounts', 'update', 'new.disabled_at is null and old.disabled_at is not null', 'account enabled'],
  ['clients', 'update', 'new.disabled_at is null and old.disabled_at is not null', 'client enabled'],
  ['clients', 'update', 'new.updated_at is distinct from old.updated_at', 'client changed'],
  ['client_secrets', 'delete', 'true', 'secret removed'],
  ['resources', 'insert', 'true', 'resource made'],
  ['resources', 'update', 'true', 'resource changed'],
  ['resources', 'delete', 'true', 'resource removed'],
  ['consents', 'delete', 'true', 'consent removed'],
  ['access_tokens', 'delete', 'true', 'token removed'],
  ['endings', 'insert', "new.kind = 'session'", 'session ended'],
  ['endings', 'insert', "new.kind = 'grant'", 'grant ended'],
  ['endings', 'insert', "new.kind = 'family'", 'family ended'],
  ['endings', 'insert', "new.kind = 'token'", 'token ended'],
]

const RING = ['ring.rewrapped', 'ring.version-added', 'ring.version-used', 'ring.version-dropped'] as const

/** In one transaction there are as many of the left as of the right. */
const PAIRS: readonly (readonly [changes: readonly string[], audited: readonly AuditKind[]])[] = [
  [['code consumed'], ['code.redeemed']],
  [['family made'], ['family.started']],
  [['family rotated'], ['family.rotated']],
  [['token made'], ['token.issued']],
  [['grant made'], ['grant.started']],
  [['grant changed'], ['grant.changed']],
  [['account ended'], ['account.password-set', 'account.disabled', 'account.revoked', 'account.removed']],
  [['client ended'], ['client.disabled', 'client.revoked', 'client.removed']],
  [['account made'], ['account.added', 'account.admin-made']],
  [['password changed'], ['account.password-set']],
  [['client made'], ['client.added']],
  [['key published'], ['key.published']],
  [['key activated'], ['key.activated']],
  [['key retired'], ['key.retired']],
  [['key gone'], ['key.removed', 'key.compromised']],
  [['link made'], ['account.link-made']],
  [['session ended'], ['account.signed-out', 'session.ended']],
  [['resource made'], ['resource.added']],
  [['resource removed'], ['resource.removed']],
]

/** The left does not happen without one of the right in the same transaction. */
const REASONS: readonly (readonly [what: string, reasons: readonly AuditKind[]])[] = [
  [
    'family removed',
    [
      'family.ended',
      'code.replayed',
      'grant.ended',
      'account.signed-out',
      'account.password-set',
      'account.disabled',
      'account.removed',
      'client.disabled',
      'client.changed',
      'client.removed',
    ],
  ],
  ['family made', ['code.redeemed']],
  ['secret made', ['client.added', 'client.changed', 'client.secret-rotated']],
  ['consent changed', ['consent.given']],
  ['key ring changed', RING],
  ['link used', ['account.password-set', 'account.admin-made']],
  ['pushed request removed', ['database.promoted']],
  ['secret made', ['client.added', 'client.changed', 'client.secret-rotated']],
  ['grant ended', ['grant.ended', 'consent.withdrawn', 'session.ended', 'account.signed-out']],
  ['family ended', ['family.ended', 'code.replayed']],
  ['token ended', ['token.revoked']],
  ['consent removed', ['consent.withdrawn', 'account.removed', 'client.removed']],
]

/** The left is not audited without one of the right in the same transaction: what changed nothing is no entry. */
const PROOFS: readonly (readonly [kind: AuditKind, changes: readonly string[]])[] = [
  ['grant.ended', ['grant ended']],
  ['family.ended', ['family ended']],
  ['code.replayed', ['family ended']],
  ['token.revoked', ['token ended', 'token removed']],
  ['consent.withdrawn', ['consent removed', 'grant ended']],
  ['account.changed', ['account changed']],
  ['account.enabled', ['account enabled']],
  ['client.changed', ['client changed']],
  ['client.enabled', ['client enabled']],
  ['client.secret-revoked', ['secret removed']],
  ['client.secret-rotated', ['secret made']],
  ['resource.changed', ['resource changed']],
  ['consent.given', ['grant made', 'grant changed', 'consent changed']],
  ['account.admin-made', ['account made']],
  ...RING.map((kind) => [kind, ['key ring changed']] as const),
]

/** What no table shows. */
const NOT_COMPARED: Partial<Record<AuditKind, string>> = {
  'account.signed-in': 'the answer to an interaction, which is gone when it was read',
  'consent.refused': 'likewise',
}

/** @returns every kind of entry that is compared with changes, or known to have none */
export function comparedKinds(): ReadonlySet<string> {
  const pairs = [...PAIRS, ...REASONS].flatMap(([, kinds]) => kinds)
  return new Set([...pairs, ...PROOFS.map(([kind]) => kind), ...Object.keys(NOT_COMPARED)])
}

const NOTE = `
  create schema faults;
  create table faults.changes (id bigserial primary key, xact xid8 not null, what text not null);
  create function faults.note() returns trigger language plpgsql as $$
    begin
      insert into faults.changes (xact, what) values (pg_current_xact_id(), tg_argv[0]);
      return null;
    end $$;
  create function faults.note_audit() returns trigger language plpgsql as $$
    begin
      insert into faults.changes (xact, what) values (pg_current_xact_id(), new.kind);
      return null;
    end $$;
  create trigger faults_audit after insert on audit_entries for each row execute function faults.note_audit();
`

/** Puts the triggers on a migrated database. */
export async function watchChanges(pool: pg.Pool | pg.Client): Promise<void> {
  const triggers = CHANGES.map(
    ([table, event, condition, what], index) =>
      `create trigger faults_${index} after ${event} on ${table} for each row
         when (${condition}) execute function faults.note('${what}');`,
  )
  await pool.query(NOTE + triggers.join('\n'))
}

/** @returns the number of the newest note */
export async function lastChange(pool: pg.Pool | pg.Client): Promise<string> {
  return (await pool.query('select coalesce(max(id), 0) as id from faults.changes')).rows[0].id
}

/** @returns what was changed and audited after a note: one text per transaction, in order */
export async function changesSince(pool: pg.Pool | pg.Client, id: string): Promise<string[]> {
  const { rows } = await pool.query<{ told: string }>(
    `select string_agg(times || ' × ' || what, ', ' order by what) as told
     from (select xact, what, count(*) as times, min(id) as first from faults.changes where id > $1 group by xact, what) as counted
     group by xact order by min(first)`,
    [id],
  )
  return rows.map(({ told }) => told)
}

/** @returns how many changes were noted, and each transaction whose changes and audit entries differ */
export async function compareChanges(pool: pg.Pool | pg.Client): Promise<{ changes: number; misses: string[] }> {
  const { rows } = await pool.query<{ xact: string; what: string; times: number }>(
    'select xact::text, what, count(*)::int as times from faults.changes group by xact, what order by xact',
  )
  const misses: string[] = []
  for (const [xact, noted] of Map.groupBy(rows, ({ xact }) => xact)) {
    const times = new Map(noted.map(({ what, times }) => [what, times]))
    const count = (kinds: readonly string[]) => kinds.reduce((sum, kind) => sum + (times.get(kind) ?? 0), 0)
    const told = () => [...times].map(([what, n]) => `${n} × ${what}`).join(', ')
    for (const [changes, audited] of PAIRS) {
      if (count(changes) !== count(audited)) {
        misses.push(`(d) ${changes} and ${audited.join(' or ')} differ in transaction ${xact}: ${told()}`)
      }
    }
    for (const [what, reasons] of REASONS) {
      if (count([what]) > 0 && count(reasons) === 0) {
        misses.push(`(b) ${what} without its reason in transaction ${xact}: ${told()}`)
      }
    }
    for (const [kind, changes] of PROOFS) {
      if (count([kind]) > 0 && count(changes) === 0) {
        misses.push(`(d) ${kind} without a change in transaction ${xact}: ${told()}`)
      }
    }
    if (count(['family made']) > count(['code consumed'])) {
      misses.push(`(b) two families of one code in transaction ${xact}: ${told()}`)
    }
  }
  const open = await pool.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and state like 'idle in transaction%' and xact_start < now() - interval '1 second'`,
  )
  if (open.rows[0]!.n > 0) misses.push(`(b) ${open.rows[0]!.n} transactions were left open`)
  return { changes: rows.length, misses }
}
