// What one experiment is given, and the oracle after it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type Cluster, startCluster } from '../test/helpers/cluster.ts'
import { createDatabase, type TestDatabase } from '../test/helpers/database.ts'
import { emptyLedger } from '../test/helpers/load.ts'
import { addCast, freePort, startTestServer, TEST_SECRET } from '../test/helpers/server.ts'
import type { Canaries } from './canaries.ts'
import { watchChanges } from './changes.ts'
import type { BenchDatabase } from './database.ts'
import type { Bench, Experiment, Installation, Outcome } from './experiment.ts'
import { consult, type Examined } from './oracle.ts'

export interface BenchParts {
  readonly database: BenchDatabase
  readonly canaries: Canaries
  readonly quick: boolean
  readonly say: (line: string) => void
  /** aborted when the bench is told to stop; then the experiment at hand is taken down */
  readonly stopped: AbortSignal
}

/** Runs an experiment and the oracle, and takes everything down. Never throws: what goes wrong is a miss. */
export async function runExperiment(parts: BenchParts, experiment: Experiment): Promise<Outcome> {
  const undo: (() => Promise<unknown>)[] = []
  const examined: Examined[] = []
  const misses: string[] = []
  let result = ''
  const stray = (error: unknown) => misses.push(`nobody waited for a failure: ${describeError(error)}`)
  process.on('unhandledRejection', stray)
  try {
    const bench = await makeBench(parts, undo, examined)
    const outcome = await inTime(experiment.run(bench), experiment.limit ?? 15, parts.stopped)
    result = outcome.result
    misses.push(...outcome.misses)
    let changes = 0
    for (const one of examined) {
      const found = await consult(parts, one)
      misses.push(...found.misses)
      changes += found.changes
    }
    if (examined.length > 0) result += `; oracle: ${changes} changes, ${parts.canaries.count()} secrets`
  } catch (error) {
    misses.push(`failed: ${describeError(error)}`)
  }
  for (const work of undo.reverse()) {
    await work().catch((error: Error) => misses.push(`could not be taken down: ${error.message}`))
  }
  process.off('unhandledRejection', stray)
  return { result, misses }
}

function describeError(error: unknown): string {
  return inspect(error, { depth: 4 })
}

async function makeBench(parts: BenchParts, undo: (() => Promise<unknown>)[], examined: Examined[]): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-experiment-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  return {
    ...parts,
    folder,
    after: (work) => void undo.push(work),
    install: (server) => install(server ? () => createDatabase(server) : parts.database.create, undo, examined),
  }
}

async function install(
  create: () => Promise<TestDatabase>,
  undo: (() => Promise<unknown>)[],
  examined: Examined[],
): Promise<Installation> {
  const database = await create()
  undo.push(() => database.drop())
  const ports = await Promise.all(Array.from({ length: 8 }, freePort))
  const issuer = `http://localhost:${ports[0]}`
  const home = await startTestServer({ database, env: { GATEHOUSE_ISSUER: issuer, GATEHOUSE_SECRET: TEST_SECRET } })
  undo.push(() => home.stop())
  await watchChanges(database.pool())
  const cast = await addCast(home)
  // On a slow machine an experiment may last longer than tokens usually live, and the oracle asks for each of them in the end.
  await database.pool().query("update resources set lifetime_seconds = extract(epoch from interval '1 day')")
  const ledger = emptyLedger()
  const logs: (() => string)[] = [() => home.log.join('\n')]
  let running: Cluster | undefined
  const stop = async () => {
    await running?.stop()
    running = undefined
  }
  undo.push(stop)
  const installation: Installation = {
    home,
    cast,
    database,
    issuer,
    api: { id: 'orders-api', secret: cast.api },
    ledger,
    async start({ processes, env, ...more }) {
      await stop()
      const cluster = await startCluster({
        ...more,
        database,
        ports: ports.slice(0, processes),
        api: { id: 'orders-api', secret: cast.api },
        // A bench is no guesser: all its requests come from one network.
        env: { LOG_LEVEL: 'trace', GATEHOUSE_PROFILE: 'test', ...env },
      })
      running = cluster
      logs.push(cluster.log)
      return cluster
    },
  }
  examined.push({ installation, logs: () => logs.map((log) => log()) })
  return installation
}

async function inTime<T>(work: Promise<T>, minutes: number, stopped: AbortSignal): Promise<T> {
  // What goes on behind a limit fails when its servers are taken away; that is no news.
  work.catch(() => undefined)
  const late = AbortSignal.timeout(minutes * 60_000)
  const over = AbortSignal.any([late, stopped])
  return Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      const end = () => reject(new Error(late.aborted ? `not done within ${minutes} minutes` : 'interrupted'))
      if (over.aborted) end()
      else over.addEventListener('abort', end)
    }),
  ])
}
