// Gives the commands what they need: the rooms, opened for one command and closed again, and the server.
import cluster from 'node:cluster'
import { databaseFault } from './cli/database-fault.ts'
import type { Output } from './cli/output.ts'
import type { ProgramParts } from './cli/program.ts'
import { commandRooms } from './command-rooms.ts'
import { type Config, readConfig } from './config.ts'
import { createDatabaseClock } from './db/clock.ts'
import { describeStatus } from './describe-status.ts'
import { type OpenDatabase, openDatabase } from './open-database.ts'
import { createLogger } from './server/log.ts'
import { startServer } from './server/start.ts'
import { work } from './server/work.ts'
import { cleanUpTry } from './tour/clean-up.ts'
import { tryLogin } from './tour/login.ts'
import { tryM2m } from './tour/m2m.ts'
import { OperatorFault } from './vocabulary/fault.ts'
import { buildRooms, type Rooms, VERSION } from './wire.ts'
import { tourParts } from './wire-tour.ts'

/**
 * @param env the environment; read when a command first needs it, so that `--help` works with a broken one
 * @param stopped resolves when the process is told to stop
 */
export function commandParts(
  env: Readonly<Record<string, string | undefined>>,
  output: Output,
  stopped: Promise<void>,
): ProgramParts {
  const withOpen = async <T>(
    work: (opened: OpenDatabase, rooms: Rooms, config: Config) => Promise<T>,
    onInterrupt?: (rooms: Rooms) => Promise<void>,
  ): Promise<T> => {
    const config = readConfig(env)
    const log = createLogger(config.logLevel === 'info' ? 'warn' : config.logLevel)
    const opened = await openDatabase(config, { role: 'command', say: () => undefined })
    try {
      const clock = createDatabaseClock({ clock: () => performance.now() })
      await clock.ask(opened.db)
      const rooms = await buildRooms({ config, db: opened.db, log, now: clock.now })
      const interrupted = stopped.then(async (): Promise<never> => {
        await onInterrupt?.(rooms)
        throw new OperatorFault('Interrupted.', 'What was said to be done is done; look before you try again.')
      })
      interrupted.catch(() => undefined)
      return await Promise.race([work(opened, rooms, config), interrupted])
    } catch (error) {
      throw databaseFault(error) ?? error
    } finally {
      await opened.close()
    }
  }
  const story =
    <Options extends { yes: boolean; say: (line: string) => void }>(
      tell: (parts: ReturnType<typeof tourParts>, options: Options) => Promise<{ readonly ok: boolean }>,
    ) =>
    (options: Options) =>
      withOpen(
        (_opened, rooms, config) => {
          if (config.databaseUrl && !options.yes) {
            throw new OperatorFault(
              'This would make things whose names begin with "try-" in the database of DATABASE_URL.',
              'Add --yes to go ahead; they are removed at the end.',
            )
          }
          return tell(tourParts(rooms), options)
        },
        (rooms) => cleanUpTry(tourParts(rooms)),
      )

  return {
    version: VERSION,
    output,
    withRooms: (command) => withOpen((_opened, rooms) => command(commandRooms(rooms))),
    withRekey: (command) => withOpen((_opened, rooms) => command(rooms.rekey)),
    migrate: () => withOpen(async ({ migration }) => migration),
    status: () => withOpen(describeStatus),
    tryM2m: story((parts, options) => tryM2m(parts, options)),
    tryLogin: story((parts, options) => tryLogin(parts, options)),
    async start({ json, demo }) {
      const config = readConfig(env)
      if (cluster.isWorker) return work(config)
      const say = json ? () => undefined : (line: string) => output.out(`${line}\n`)
      const running = await startServer({ config, demo, say, terminal: output.isTerminal })
      if (json) output.out(`${JSON.stringify({ ready: true, issuer: config.issuer, pid: process.pid })}\n`)
      await stopped
      say('Stopping: requests under way are finished first.')
      await running.stop()
    },
  }
}
