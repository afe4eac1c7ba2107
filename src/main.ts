// Runs the command that argv names.
import cluster from 'node:cluster'
import { processOutput } from './cli/output.ts'
import { createProgram } from './cli/program.ts'
import { commandParts } from './commands.ts'

/** One Ctrl-C can arrive several times: from the terminal, from npm, and from bin/gatehouse.mjs. Milliseconds. */
const ONE_PRESS = 500

/** Resolves at the first signal to stop; one that comes later ends the process at once. A worker stops when it is told to. */
const stopped = new Promise<void>((resolve) => {
  let since: number | undefined
  const stop = () => {
    if (cluster.isWorker) return
    since ??= performance.now()
    if (performance.now() - since > ONE_PRESS) process.exit(1)
    resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
})

// bin/gatehouse.mjs holds the other end of this channel. Once it was killed, a signal for it reaches nobody, and a new start
// would find the port taken: so we end with it. The database goes on until the next start adopts it.
process.on('disconnect', () => process.exit(1))
if (!cluster.isWorker) process.channel?.unref()

// Whoever read what we say may be gone, as after "gatehouse start | head": that must not keep us from stopping in order.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const interrupted = stopped.then(() => true)
const code = await createProgram(commandParts(process.env, processOutput(process), stopped)).run(process.argv.slice(2))
process.exitCode = code
// A command that was interrupted may have left a question on the terminal, which would keep the process waiting.
if (await Promise.race([interrupted, false])) process.exit(code)
