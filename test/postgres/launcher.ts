// A process of its own that launches the embedded database: `node launcher.ts '<options as JSON>'`. Prints one JSON line when
// the database is there or refused, ends the database on the line "stop" (or when the test that started it is gone).
import { createInterface } from 'node:readline'
import { launchPostgres } from '../../src/postgres/launch.ts'

const said: string[] = []
const began = performance.now()
const { umask, ...options } = JSON.parse(process.argv[2] ?? '{}')
if (umask !== undefined) process.umask(umask)
try {
  const database = await launchPostgres({ ...options, say: (line) => said.push(line) })
  const { connection, place, how } = database
  print({ connection, place, how, said, ms: Math.round(performance.now() - began) })
  for await (const line of createInterface({ input: process.stdin })) if (line === 'stop') break
  await database.stop()
  print({ stopped: true })
} catch (error) {
  const { name, message, advice } = error as Error & { advice?: string }
  print({ refused: { name, message, advice } })
  process.exitCode = 1
}

function print(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
