// Makes a document true: one unit of work, all or nothing, one apply at a time.
import { sql } from 'kysely'
import type { Client, ClientFields } from '../clients/client.ts'
import { LOCKS } from '../db/locks.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { Resource } from '../resources/resource.ts'
import { formatPath } from '../vocabulary/document.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { type PlanParts, planChanges, type State, type Step } from './plan.ts'
import { type ApplyDocument, type LocatedFault, type ReadParts, readDocument } from './read.ts'
import { reserveSecretsFile, type SecretsFile } from './secrets-file.ts'
import type { UserFields } from './user-fields.ts'

/** What the rooms do, as far as a document needs it. `actor` is who acts, as in the audit. */
export interface ApplyParts extends Omit<ReadParts, 'registered'>, PlanParts {
  readonly unit: UnitOfWork
  readonly resources: {
    list(): Promise<readonly Resource[]>
    add(resource: Resource, actor: string): Promise<'done' | 'taken'>
    change(resource: Resource, actor: string): Promise<'done' | 'unknown'>
  }
  readonly clients: {
    list(): Promise<readonly Client[]>
    add(fields: ClientFields, actor: string): Promise<{ readonly ok: boolean; readonly secret?: string }>
    change(fields: ClientFields, actor: string): Promise<{ readonly ok: boolean; readonly secret?: string }>
  }
  readonly users: {
    findByEmail(
      email: string,
    ): Promise<{ readonly id: string; readonly email: string; readonly name?: string } | undefined>
    /** @returns the new account; undefined when the address is taken */
    add(fields: UserFields, actor: string): Promise<{ readonly id: string } | undefined>
    rename(accountId: string, name: string | undefined, actor: string): Promise<unknown>
    makeSetPasswordLink(accountId: string, actor: string): Promise<{ readonly url: string }>
  }
}

/** Secrets as results and secrets files spell them. */
export interface Secrets {
  readonly clients: Record<string, { client_secret: string }>
  readonly resources: Record<string, { secret: string }>
  readonly users: Record<string, { set_password_url: string }>
}

export interface ApplyResult {
  readonly plan: readonly Pick<Step, 'object' | 'id' | 'action' | 'fields'>[]
  /** how many things were created or changed */
  readonly changed: number
  /** new secrets and one-time links; empty when they went to the secrets file */
  readonly secrets: Secrets
  /** where they went, if there were any */
  readonly secretsFile?: string
}

export type Apply = (text: string, options: { actor: string; secretsFile?: string }) => Promise<ApplyResult>

/**
 * @returns the function that applies a YAML document. Things it does not name stay as they are; a second time changes
 * nothing. Throws OperatorFault with every fault of the document, or when the secrets file is there already; then nothing
 * was changed.
 */
export function createApply(parts: ApplyParts): Apply {
  return async (text, { actor, secretsFile }) => {
    let file: SecretsFile | undefined
    try {
      return await parts.unit.run(async () => {
        await sql`select pg_advisory_xact_lock(${LOCKS.many})`.execute(await parts.unit.write())
        const { document, state, accountIds } = await readAll(parts, text)
        const steps = planChanges(parts, document, state)
        if (secretsFile !== undefined && steps.some(({ secret }) => secret))
          file = await reserveSecretsFile(secretsFile)
        const secrets = noSecrets()
        for (const step of steps) await execute(parts, step, { actor, accountIds, secrets })
        // Before the commit: a file too many can be deleted, a secret that nobody has seen cannot be had again.
        await file?.write(secrets)
        return {
          plan: steps.map(({ object, id, action, fields }) => ({ object, id, action, fields })),
          changed: steps.filter(({ action }) => action !== 'same').length,
          secrets: file ? noSecrets() : secrets,
          ...(file && { secretsFile }),
        }
      })
    } catch (error) {
      if (file && (await file.discardUnwritten())) throw commitFault(file.path, error)
      throw error
    }
  }
}

async function readAll(
  parts: ApplyParts,
  text: string,
): Promise<{ document: ApplyDocument; state: State; accountIds: ReadonlyMap<string, string> }> {
  const [resources, clients] = [await parts.resources.list(), await parts.clients.list()]
  const reading = readDocument({ ...parts, registered: resources }, text)
  if (!reading.ok) throw documentFault(reading.faults)
  const users: UserFields[] = []
  const accountIds = new Map<string, string>()
  for (const { email } of reading.document.users) {
    const account = await parts.users.findByEmail(email)
    if (!account) continue
    users.push({ email, ...(account.name !== undefined && { name: account.name }) })
    accountIds.set(email, account.id)
  }
  return { document: reading.document, state: { resources, clients, users }, accountIds }
}

async function execute(
  { resources, clients, users }: ApplyParts,
  step: Step,
  { actor, accountIds, secrets }: { actor: string; accountIds: ReadonlyMap<string, string>; secrets: Secrets },
): Promise<void> {
  if (step.action === 'same') return
  const creates = step.action === 'create'
  switch (step.object) {
    case 'resource': {
      const done = await (creates ? resources.add(step.target, actor) : resources.change(step.target, actor))
      if (done !== 'done') throw raceFault(step.id)
      return
    }
    case 'client': {
      const done = await (creates ? clients.add(step.target, actor) : clients.change(step.target, actor))
      if (!done.ok) throw raceFault(step.id)
      if (done.secret !== undefined) secrets.clients[step.id] = { client_secret: done.secret }
      return
    }
    case 'user': {
      const known = accountIds.get(step.id)
      if (known !== undefined) {
        await users.rename(known, step.target.name, actor)
        return
      }
      const account = await users.add(step.target, actor)
      if (!account) throw raceFault(step.id)
      secrets.users[step.id] = { set_password_url: (await users.makeSetPasswordLink(account.id, actor)).url }
    }
  }
}

function documentFault(faults: readonly LocatedFault[]): OperatorFault {
  const lines = faults.map(({ path, text, line }) => {
    const place = formatPath(path) || 'the document'
    return `  ${place}${line === undefined ? '' : ` (line ${line})`} ${text}`
  })
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`
  return new OperatorFault(
    [`The document has ${count}:`, ...lines].join('\n'),
    'Mend the document and apply it again. Nothing was changed.',
  )
}

// Without prototypes, so that any id is a key like every other.
function noSecrets(): Secrets {
  const empty = () => Object.create(null)
  return { clients: empty(), resources: empty(), users: empty() }
}

function commitFault(path: string, cause: unknown): OperatorFault {
  return new OperatorFault(
    `The database did not confirm the changes: ${cause instanceof Error ? cause.message : String(cause)}.`,
    `Apply again with another --secrets file: what is missing will be made. ${path} has the secrets of what was made already.`,
    { cause },
  )
}

function raceFault(id: string): OperatorFault {
  return new OperatorFault(`${id} was added or removed by somebody else just now.`, 'Apply again. Nothing was changed.')
}
