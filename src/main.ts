// Runs the command that argv names.
import { processOutput } from './cli/output.ts'
import { createProgram } from './cli/program.ts'
import { commandParts } from './commands.ts'

/** Resolves at the first signal to stop; a second one ends the process at once. */
function stopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    const stop = () => {
      if (asked) process.exit(1)
      asked = true
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}

const output = processOutput(process)
process.exitCode = await createProgram(commandParts(process.env, output, stopped)).run(process.argv.slice(2))
