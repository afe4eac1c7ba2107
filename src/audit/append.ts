// Writes audit entries inside the unit of work at hand.
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { Audit } from './entry.ts'

/**
 * @param parts `requestId` gives the id of the request at hand, if there is one
 * @returns the function every room is handed to tell of its changes
 */
export function createAudit({
  unit,
  now,
  requestId,
}: {
  unit: UnitOfWork
  now: () => Date
  requestId: () => string | undefined
}): Audit {
  return async ({ kind, actor, subject, detail }) => {
    const db = await unit.write()
    await db
      .insertInto('audit_entries')
      .values({
        at: now(),
        kind,
        actor,
        subject: subject ?? null,
        request_id: requestId() ?? null,
        detail: JSON.stringify(detail ?? {}),
      })
      .execute()
  }
}
