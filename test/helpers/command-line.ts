// Commands as an operator runs them, beside a test's server, over the whole of Gatehouse but in the test's own process.
import { processOutput } from '../../src/cli/output.ts'
import { commandParts } from '../../src/commands.ts'
import { createRun, type Ran } from '../cli/run.ts'
import { TEST_SECRET, type TestServer } from './server.ts'

/** @returns a function that runs a command, which must end well. @param input goes to standard input */
export function commandLine({ issuer, database }: Pick<TestServer, 'issuer' | 'database'>) {
  const env = {
    PORT: new URL(issuer).port,
    DATABASE_URL: database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  }
  const { withRooms } = commandParts(env, processOutput(), new Promise(() => undefined))
  const run = createRun(undefined)
  return async (args: readonly string[], input = ''): Promise<Ran> => {
    const ran = await run(args, { input, parts: { withRooms } })
    if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.err}`)
    return ran
  }
}
