// The common oracle of SECURITY.md, asked after every experiment, of servers that were started anew:
// (a) nothing acknowledged is lost; (b) nothing is half present; (c) what is accepted verifies against the keys of this moment;
// (d) audit entries and changes of state are the same; (e) no secret is in a log.
import { obtainTokens } from '../test/helpers/flow.ts'
import { checkChain, checkStanding } from '../test/helpers/ledger-checks.ts'
import type { Ledger } from '../test/helpers/load.ts'
import type { Canaries } from './canaries.ts'
import { compareChanges } from './changes.ts'
import type { BenchDatabase } from './database.ts'
import type { Embedded } from './embedded.ts'
import type { Bench, Installation } from './experiment.ts'

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

/**
 * The oracle for a server with an embedded database, which runs; it is stopped by it.
 * @returns what does not hold
 */
export async function consultEmbedded({ canaries }: Bench, embedded: Embedded, ledger: Ledger): Promise<string[]> {
  const asked = { issuer: embedded.issuer, api: embedded.api, app: { id: 'spa' } }
  const misses = await checkStanding(asked, ledger)
  const { status } = await obtainTokens(asked, asked.app, { scope: 'openid things:read' })
  if (status !== 200) misses.push(`(a) in the end people cannot sign in: ${status}`)
  const client = await embedded.connect()
  const compared = await compareChanges(client)
  await client.end()
  if (compared.changes === 0) misses.push('(d) no change of state was noted')
  misses.push(...compared.misses)
  if ((await embedded.server().stop()) !== 0) misses.push('a stop does not end in good order')
  if ((await embedded.postmaster()) !== undefined) misses.push('a stop leaves the database running')
  return [...misses, ...findSecrets(canaries, await embedded.logs())]
}

/** Oracle e. */
function findSecrets(canaries: Canaries, logs: readonly string[]): string[] {
  const found = new Set(logs.flatMap((log) => canaries.findIn(log)))
  return found.size === 0 ? [] : [`(e) ${found.size} secrets are in the logs: ${[...found].slice(0, 5).join(', ')}`]
}
