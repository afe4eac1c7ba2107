// The oracle's comparison of audit entries with changes of state leaves nothing out.
import { comparedKinds } from '../../faults/changes.ts'
import { AUDIT_KINDS } from '../../src/audit/entry.ts'

it('every kind of audit entry is compared with what it tells of, or known to leave no trace', () => {
  expect([...comparedKinds()].sort()).toEqual([...AUDIT_KINDS].sort())
})
