// The fault bench: runs the experiments of SECURITY.md and prints what held. 0: all that ran met their targets. 1: one missed.
// 2: wrong usage. 3: nothing could run.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/cli/table.ts'
import { type BenchParts, runExperiment } from './bench.ts'
import { createCanaries } from './canaries.ts'
import { openBenchDatabase } from './database.ts'
import type { Experiment } from './experiment.ts'
import { describeMissing } from './needs.ts'

interface Row {
  readonly id: string
  readonly title: string
  readonly size: string
  readonly target: string
  readonly result: string
  readonly misses: readonly string[]
  readonly ran: boolean
  readonly seconds: number
}

const USAGE = `npm run faults -- [R-01 R-02 …] [--quick] [--list] [--json] [--help]
  --quick  the small sizes of "npm test", and only what has one
  --list   which experiments there are
  --json   one JSON document instead of the table
FAULTS_DATABASE_URL names a PostgreSQL server to use instead of the one that ships.
`
/** Misses of one experiment; what goes wrong once often goes wrong a thousand times. */
const MOST_TOLD = 20
const FOLDER = join(import.meta.dirname, 'experiments')
const say = (line: string) => void process.stderr.write(`${line}\n`)

const stopped = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort())
process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const flag = { type: 'boolean' } as const
  const options = { help: { ...flag, short: 'h' }, quick: flag, list: flag, json: flag } as const
  let given: { help?: boolean; quick?: boolean; list?: boolean; json?: boolean }
  let names: string[]
  try {
    const parsed = parseArgs({ args, options, allowPositionals: true })
    given = parsed.values
    names = parsed.positionals.map((name) => name.toUpperCase())
  } catch (error) {
    say(`${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  const { help, quick = false, list, json } = given
  if (help) {
    process.stdout.write(USAGE)
    return 0
  }
  const all = await loadExperiments()
  const unknown = names.filter((name) => !all.some(({ id }) => id === name))
  if (unknown.length > 0) {
    say(`There is no ${unknown.join(', ')}.\n\n${USAGE}`)
    return 2
  }
  const chosen = all.filter(({ id, size }) => (names.length === 0 || names.includes(id)) && (!quick || size.quick))
  if (list) {
    print(
      all.map((one) => ({ ...describe(one, quick), result: describeMissing(one.needs) ?? 'can run' })),
      json,
    )
    return 0
  }
  const rows = await runAll(chosen, quick)
  print(rows, json)
  for (const { id, misses } of rows) {
    for (const miss of misses.slice(0, MOST_TOLD)) say(`${id}: ${miss}`)
    if (misses.length > MOST_TOLD) say(`${id}: and ${misses.length - MOST_TOLD} more; --json has them all`)
  }
  if (rows.some(({ misses }) => misses.length > 0)) return 1
  return rows.some(({ ran }) => ran) ? 0 : 3
}

/** Every file of the folder has one experiment. */
async function loadExperiments(): Promise<Experiment[]> {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'))
  const modules = await Promise.all(files.sort().map((name) => import(join(FOLDER, name))))
  return modules.flatMap((module) => Object.values(module).filter(isExperiment))
}

function isExperiment(value: unknown): value is Experiment {
  return typeof value === 'object' && value !== null && 'id' in value && 'run' in value
}

async function runAll(chosen: readonly Experiment[], quick: boolean): Promise<Row[]> {
  const runnable = chosen.filter(({ needs }) => !describeMissing(needs))
  if (runnable.length === 0) return chosen.map((one) => notRun(one, quick))
  const database = await openBenchDatabase(process.env.FAULTS_DATABASE_URL)
  const canaries = createCanaries()
  const unwatch = canaries.watchFetch()
  say(`on the ${database.name}`)
  try {
    const rows: Row[] = []
    const parts = { database, canaries, quick, stopped: stopped.signal, say: (line: string) => say(`  ${line}`) }
    for (const one of chosen) {
      if (stopped.signal.aborted) break
      rows.push(runnable.includes(one) ? await runOne(parts, one) : notRun(one, quick))
    }
    return rows
  } finally {
    unwatch()
    await database.stop()
  }
}

async function runOne(parts: BenchParts, experiment: Experiment): Promise<Row> {
  say(`${experiment.id} ${experiment.title}`)
  const begun = performance.now()
  const { result, misses } = await runExperiment(parts, experiment)
  const seconds = Math.round((performance.now() - begun) / 1000)
  say(`  ${misses.length === 0 ? 'holds' : 'MISS'} after ${seconds} s: ${result}`)
  return {
    ...describe(experiment, parts.quick),
    result: result || 'did not come to an end',
    misses,
    ran: true,
    seconds,
  }
}

function describe({ id, title, size, target }: Experiment, quick: boolean): Row {
  const text = (quick && size.quick) || size.full
  return { id, title, size: text, target, result: '', misses: [], ran: false, seconds: 0 }
}

function notRun(experiment: Experiment, quick: boolean): Row {
  return { ...describe(experiment, quick), result: describeMissing(experiment.needs)! }
}

function print(rows: readonly Row[], json = false): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ experiments: rows })}\n`)
    return
  }
  const cells = rows.map(({ id, title, size, target, result, misses, ran }) => [
    id,
    title,
    size,
    target,
    ran
      ? `${misses.length === 0 ? 'holds' : 'MISS'}: ${result}`
      : result.startsWith('needs')
        ? `not run: ${result}`
        : result,
  ])
  process.stdout.write(formatTable(['NO.', 'EXPERIMENT', 'SIZE', 'TARGET', 'RESULT'], cells))
}
