// What operators do to clients. Each act is one unit of work with its audit entry; secrets leave once, in the answer.
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { type Client, type ClientFields, secretForm } from './client.ts'
import type { ClientSecretRow } from './secret-store.ts'
import { addSecret, isLive, type SecretParts, type SecretWishes } from './secrets.ts'
import type { ClientStore } from './store.ts'

export interface RegisterParts {
  readonly unit: UnitOfWork
  readonly store: ClientStore
  readonly secrets: SecretParts
  readonly audit: Audit
  readonly now: () => Date
  /** Notes that everything which hangs on a client is over, grants, families and tokens; in the same unit of work. */
  readonly noteEnd: (clientId: string, endedEpoch: string, reason: ClientEnd) => Promise<void>
}

export type ClientEnd = 'client-disabled' | 'client-removed' | 'revoked'

/** `actor` is who acts, as in the audit: `operator`, or an account's id. */
export interface ClientRegister {
  /** @returns the secret of a client that uses one; `taken` when the id is there already */
  add(fields: ClientFields, actor: string): Promise<{ ok: true; secret?: string } | { ok: false; reason: 'taken' }>
  /**
   * Makes an existing client what `fields` say; whether it is disabled stays as it is.
   * @returns a secret when the client needs one now and needed none before, or one of another form
   */
  change(fields: ClientFields, actor: string): Promise<{ ok: true; secret?: string } | { ok: false; reason: 'unknown' }>
  disable(id: string, actor: string): Promise<'done' | 'unchanged' | 'unknown'>
  enable(id: string, actor: string): Promise<'done' | 'unchanged' | 'unknown'>
  remove(id: string, actor: string): Promise<'done' | 'unknown'>
  /** Ends every grant and token of a client, which may begin anew at once. */
  revoke(id: string, actor: string): Promise<'done' | 'unknown'>
  /**
   * Makes a new secret. The old ones end now, or after `overlap`, if not by themselves before that.
   * @param wishes `overlap` in seconds
   * @returns the secret, its row, and when the old ones end; `no-secret` when the client authenticates otherwise, `too-many`
   *   when more than MOST_SECRETS would be live at once
   */
  rotateSecret(
    id: string,
    actor: string,
    wishes?: RotationWishes,
  ): Promise<
    | { ok: true; secret: string; row: ClientSecretRow; oldEnd: Date }
    | { ok: false; reason: 'unknown' | 'no-secret' | 'too-many' }
  >
  /** Ends one secret at once. */
  revokeSecret(id: string, secretId: string, actor: string): Promise<'done' | 'unknown' | 'unknown-secret'>
}

export type RotationWishes = SecretWishes & { readonly overlap?: number }

/** Each is compared when the client authenticates. */
export const MOST_SECRETS = 10

/** @returns the acts on clients */
export function createClientRegister(parts: RegisterParts): ClientRegister {
  const { unit, store, secrets, audit } = parts
  return {
    add: (fields, actor) =>
      unit.run(async () => {
        if (!(await store.insert(fields))) return { ok: false, reason: 'taken' }
        const secret = secretForm(fields) ? (await addSecret(secrets, fields)).secret : undefined
        await audit({ kind: 'client.added', actor, subject: fields.id, detail: { after: fields } })
        return { ok: true, ...(secret !== undefined && { secret }) }
      }),

    change: (fields, actor) =>
      unit.run(async () => {
        const before = await store.lock(fields.id)
        if (!before) return { ok: false, reason: 'unknown' }
        await store.update(fields)
        const secret = await fitSecrets(secrets, before, fields)
        await audit({ kind: 'client.changed', actor, subject: fields.id, detail: { before, after: fields } })
        return { ok: true, ...(secret !== undefined && { secret }) }
      }),

    disable: (id, actor) => switchClient(parts, id, actor, false),
    enable: (id, actor) => switchClient(parts, id, actor, true),

    remove: (id, actor) =>
      unit.run(async () => {
        const before = await store.lock(id)
        if (!before) return 'unknown'
        await end(parts, id, 'client-removed')
        await store.remove(id)
        await audit({ kind: 'client.removed', actor, subject: id, detail: { before } })
        return 'done'
      }),

    revoke: (id, actor) =>
      unit.run(async () => {
        if (!(await end(parts, id, 'revoked'))) return 'unknown'
        await audit({ kind: 'client.revoked', actor, subject: id })
        return 'done'
      }),

    rotateSecret: (id, actor, wishes = {}) => unit.run(() => rotateSecret(parts, id, actor, wishes)),

    revokeSecret: (id, secretId, actor) =>
      unit.run(async () => {
        if (!(await store.lock(id))) return 'unknown'
        if (!(await secrets.store.remove(id, secretId))) return 'unknown-secret'
        await audit({ kind: 'client.secret-revoked', actor, subject: id, detail: { secret: secretId } })
        return 'done'
      }),
  }
}

async function rotateSecret(
  { store, secrets, audit, now }: RegisterParts,
  id: string,
  actor: string,
  { overlap = 0, ...wishes }: RotationWishes,
): ReturnType<ClientRegister['rotateSecret']> {
  // Of two rotations at once the second waits here, and then finds the secret of the first among the old ones.
  const client = await store.lock(id)
  if (!client) return { ok: false, reason: 'unknown' }
  if (!secretForm(client)) return { ok: false, reason: 'no-secret' }
  const at = now()
  const kept = (await secrets.store.list(id)).filter((secret) => overlap > 0 && isLive(secret, at))
  if (kept.length >= MOST_SECRETS) return { ok: false, reason: 'too-many' }
  const oldEnd = new Date(at.getTime() + overlap * 1000)
  await secrets.store.endAll(id, { now: at, end: oldEnd })
  const { row, secret } = await addSecret(secrets, client, wishes)
  const detail = { secret: row.id, name: row.name, expires_at: row.expiresAt, old_secrets_end: oldEnd }
  await audit({ kind: 'client.secret-rotated', actor, subject: id, detail })
  return { ok: true, secret, row, oldEnd }
}

/** @returns false when there is no such client */
async function end({ store, noteEnd }: RegisterParts, id: string, reason: ClientEnd): Promise<boolean> {
  const epoch = await store.endEpoch(id)
  if (epoch === undefined) return false
  await noteEnd(id, epoch, reason)
  return true
}

async function switchClient(
  parts: RegisterParts,
  id: string,
  actor: string,
  on: boolean,
): Promise<'done' | 'unchanged' | 'unknown'> {
  const { unit, store, audit, now } = parts
  return unit.run(async () => {
    const client = await store.lock(id)
    if (!client) return 'unknown'
    if (on === (client.disabledAt === undefined)) return 'unchanged'
    await store.setDisabled(id, on ? undefined : now())
    if (!on) await end(parts, id, 'client-disabled')
    await audit({ kind: on ? 'client.enabled' : 'client.disabled', actor, subject: id })
    return 'done'
  })
}

// A client that stops using a secret must not get back in with the old one when it uses secrets again; and a hash cannot become
// a key, nor should a secret that was in memory in clear live on as one that never was.
async function fitSecrets(secrets: SecretParts, before: Client, after: ClientFields): Promise<string | undefined> {
  if (secretForm(after) === secretForm(before)) return undefined
  await secrets.store.removeAll(after.id)
  return secretForm(after) ? (await addSecret(secrets, after)).secret : undefined
}
