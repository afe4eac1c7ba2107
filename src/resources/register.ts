// What operators do to resources. Each act is one unit of work with its audit entry.
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { Resource } from './resource.ts'
import type { ResourceStore } from './store.ts'

/** `actor` is who acts, as in the audit: `operator`, or an account's id. */
export interface ResourceRegister {
  add(resource: Resource, actor: string): Promise<'done' | 'taken'>
  change(resource: Resource, actor: string): Promise<'done' | 'unknown'>
  /** @returns the ids of the clients that name it, and then it stays; [] when it is gone; undefined when it is unknown */
  remove(id: string, actor: string): Promise<readonly string[] | undefined>
}

/**
 * @param parts `clientsNaming` answers with the ids of clients that have scopes of a resource or serve it
 * @returns the acts on resources
 */
export function createResourceRegister({
  unit,
  store,
  audit,
  clientsNaming,
}: {
  unit: UnitOfWork
  store: ResourceStore
  audit: Audit
  clientsNaming: (resourceId: string) => Promise<readonly string[]>
}): ResourceRegister {
  return {
    add: (resource, actor) =>
      unit.run(async () => {
        if (!(await store.insert(resource))) return 'taken'
        await audit({ kind: 'resource.added', actor, subject: resource.id, detail: { after: resource } })
        return 'done'
      }),

    change: (resource, actor) =>
      unit.run(async () => {
        const before = await store.lock(resource.id)
        if (!before) return 'unknown'
        await store.update(resource)
        await audit({ kind: 'resource.changed', actor, subject: resource.id, detail: { before, after: resource } })
        return 'done'
      }),

    remove: (id, actor) =>
      unit.run(async () => {
        const before = await store.lock(id)
        if (!before) return undefined
        const clients = await clientsNaming(id)
        if (clients.length > 0) return clients
        await store.remove(id)
        await audit({ kind: 'resource.removed', actor, subject: id, detail: { before } })
        return []
      }),
  }
}
