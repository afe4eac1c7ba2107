import { type Kysely, sql } from 'kysely'

export const oldestVersion = '0.1.0'

export async function up(db: Kysely<unknown>): Promise<void> {
  // A secret that is needed in clear (client_secret_jwt) is sealed instead of hashed. A version before this one knows no
  // client that has such a secret.
  await sql`alter table client_secrets
    add column name text,
    add column last_used_at timestamptz,
    add column sealed bytea,
    alter column hash drop not null,
    add constraint client_secrets_form check (num_nonnulls(hash, sealed) = 1)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`delete from client_secrets where hash is null`.execute(db)
  await sql`alter table client_secrets
    drop constraint client_secrets_form,
    drop column name,
    drop column last_used_at,
    drop column sealed,
    alter column hash set not null`.execute(db)
}
