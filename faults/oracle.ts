// The common oracle of SECURITY.md, asked after every experiment, of servers that were started anew:
// (a) nothing acknowledged is lost; (b) nothing is half present; (c) what is accepted verifies against the keys of this moment;
// (d) audit entries and changes of state are the same; (e) no secret is in a log.
import { checkChain, checkStanding } from '../test/helpers/ledger-checks.ts'
import type { Canaries } from './canaries.ts'
import { compareChanges } from './changes.ts'
import type { BenchDatabase } from './database.ts'
import type { Installation } from './experiment.ts'

export interface Examined {
  readonly installation: Installation
  /** everything that its servers have logged */
  readonly logs: () => string[]
}

/** @returns what does not hold, each with its letter, and how many changes of state were looked at */
export async function consult(
  { database, canaries }: { database: BenchDatabase; canaries: Canaries },
  { installation, logs }: Examined,
): Promise<{ misses: string[]; changes: number }> {
  const { issuer, api, ledger } = installation
  // Started anew: what is only in a process's memory does not count.
  await installation.start({ processes: 1, warm: 10 })
  const asked = { issuer, api, app: { id: 'spa' } }
  const misses = await checkStanding(asked, ledger)
  for (const chain of ledger.chains) misses.push(...(await checkChain(asked, chain)))
  const compared = await compareChanges(installation.database.pool())
  misses.push(...compared.misses)
  misses.push(...findSecrets(canaries, [...logs(), await database.log()]))
  return { misses, changes: compared.changes }
}

/** Oracle e. */
export function findSecrets(canaries: Canaries, logs: readonly string[]): string[] {
  const found = new Set(logs.flatMap((log) => canaries.findIn(log)))
  return found.size === 0 ? [] : [`(e) ${found.size} secrets are in the logs: ${[...found].slice(0, 5).join(', ')}`]
}
