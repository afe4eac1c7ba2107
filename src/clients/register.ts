// What operators do to clients. Each act is one unit of work with its audit entry; secrets leave once, in the answer.
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { type Client, type ClientFields, usesSecret } from './client.ts'
import { addSecret, replaceSecrets, type SecretParts } from './secrets.ts'
import type { ClientStore } from './store.ts'

export interface RegisterParts {
  readonly unit: UnitOfWork
  readonly store: ClientStore
  readonly secrets: SecretParts
  readonly audit: Audit
  readonly now: () => Date
  /** Ends everything that hangs on a client: its grants, families and tokens; part of the same unit of work. */
  readonly endClient: (clientId: string, reason: 'client-disabled' | 'client-removed') => Promise<void>
}

/** `actor` is who acts, as in the audit: `operator`, or an account's id. */
export interface ClientRegister {
  /** @returns the secret of a client that uses one; `taken` when the id is there already */
  add(fields: ClientFields, actor: string): Promise<{ ok: true; secret?: string } | { ok: false; reason: 'taken' }>
  /**
   * Makes an existing client what `fields` say; whether it is disabled stays as it is.
   * @returns a secret when the client needs one now and needed none before
   */
  change(fields: ClientFields, actor: string): Promise<{ ok: true; secret?: string } | { ok: false; reason: 'unknown' }>
  disable(id: string, actor: string): Promise<'done' | 'unchanged' | 'unknown'>
  enable(id: string, actor: string): Promise<'done' | 'unchanged' | 'unknown'>
  remove(id: string, actor: string): Promise<'done' | 'unknown'>
  /** The new secret replaces every old one at once. @returns it; `no-secret` when the client authenticates otherwise */
  rotateSecret(
    id: string,
    actor: string,
  ): Promise<{ ok: true; secret: string } | { ok: false; reason: 'unknown' | 'no-secret' }>
}

/** @returns the acts on clients */
export function createClientRegister(parts: RegisterParts): ClientRegister {
  const { unit, store, secrets, audit } = parts
  return {
    add: (fields, actor) =>
      unit.run(async () => {
        if (!(await store.insert(fields))) return { ok: false, reason: 'taken' }
        const secret = usesSecret(fields) ? await addSecret(secrets, fields.id) : undefined
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
        await parts.endClient(id, 'client-removed')
        await store.remove(id)
        await audit({ kind: 'client.removed', actor, subject: id, detail: { before } })
        return 'done'
      }),

    rotateSecret: (id, actor) =>
      unit.run(async () => {
        const client = await store.lock(id)
        if (!client) return { ok: false, reason: 'unknown' }
        if (!usesSecret(client)) return { ok: false, reason: 'no-secret' }
        const secret = await replaceSecrets(secrets, id)
        await audit({ kind: 'client.secret-rotated', actor, subject: id })
        return { ok: true, secret }
      }),
  }
}

async function switchClient(
  { unit, store, audit, now, endClient }: RegisterParts,
  id: string,
  actor: string,
  on: boolean,
): Promise<'done' | 'unchanged' | 'unknown'> {
  return unit.run(async () => {
    const client = await store.lock(id)
    if (!client) return 'unknown'
    if (on === (client.disabledAt === undefined)) return 'unchanged'
    await store.setDisabled(id, on ? undefined : now())
    if (!on) await endClient(id, 'client-disabled')
    await audit({ kind: on ? 'client.enabled' : 'client.disabled', actor, subject: id })
    return 'done'
  })
}

// A client that stops using a secret must not get back in with the old one when it uses secrets again.
async function fitSecrets(secrets: SecretParts, before: Client, after: ClientFields): Promise<string | undefined> {
  if (!usesSecret(after)) await secrets.store.removeAll(after.id)
  return usesSecret(after) && !usesSecret(before) ? addSecret(secrets, after.id) : undefined
}
