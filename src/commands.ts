// Gives the commands what they need: the rooms, opened for one command and closed again, and the server.
import cluster from 'node:cluster'
import { emailKey, isEmail } from './accounts/email.ts'
import { createApply } from './apply/execute.ts'
import { readUserFields } from './apply/user-fields.ts'
import { databaseFault } from './cli/database-fault.ts'
import type { Output } from './cli/output.ts'
import type { ProgramParts } from './cli/program.ts'
import type { Rooms as CommandRooms, OneTimeLink } from './cli/rooms.ts'
import type { StatusReport } from './cli/status.ts'
import { secretForm } from './clients/client.ts'
import { readClientFields, writeClientFields } from './clients/fields.ts'
import { type Config, readConfig } from './config.ts'
import { type OpenDatabase, openDatabase } from './open-database.ts'
import { createRevokeToken } from './provider/revoke-token.ts'
import { readResourceFields, writeResourceFields } from './resources/fields.ts'
import type { RingKeys } from './secrets/ring-keys.ts'
import { engineParts } from './server/build.ts'
import { createLogger } from './server/log.ts'
import { startServer } from './server/start.ts'
import { work } from './server/work.ts'
import { nextStep } from './signing-keys/next-step.ts'
import { cleanUpTry } from './tour/clean-up.ts'
import { tryLogin } from './tour/login.ts'
import { tryM2m } from './tour/m2m.ts'
import { OperatorFault } from './vocabulary/fault.ts'
import { buildRooms, type Rooms, tourParts, VERSION } from './wire.ts'

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
      const rooms = await buildRooms({ config, db: opened.db, log })
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
    withRooms: (command) => withOpen((_opened, rooms) => command(roomsForCommands(rooms))),
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

function roomsForCommands(rooms: Rooms): CommandRooms {
  const { config, accounts, clients, resources, unit } = rooms
  const link = async (path: string, made: Promise<{ token: string; expiresAt: Date }>): Promise<OneTimeLink> => {
    const { token, expiresAt } = await made
    return { url: `${config.issuer}${path}?token=${token}`, expiresAt }
  }
  const makeSetPasswordLink = (id: string, actor: string) =>
    link('/set-password', accounts.makeSetPasswordLink(id, actor))
  return {
    now: rooms.now,
    clients,
    resources,
    accounts: {
      ...accounts,
      makeSetPasswordLink,
      makeAdminLink: (actor) => link('/admin/setup', accounts.makeAdminLink(actor)),
    },
    signingKeys: commandKeys(rooms.signingKeys),
    trust: {
      ...rooms.withdraw,
      token: createRevokeToken({ ...engineParts(rooms), unit }),
      sessionsOf: rooms.sessions.sessions.listOf,
      grantsOf: rooms.sessions.grants.listOf,
    },
    apply: createApply({
      unit,
      resources,
      clients,
      users: { ...accounts, makeSetPasswordLink },
      readResource: readResourceFields,
      readClient: readClientFields,
      readUser: (document) => readUserFields({ isEmail }, document),
      writeResource: writeResourceFields,
      writeClient: writeClientFields,
      secretForm,
      emailKey,
    }),
  }
}

function commandKeys({ records, rotation, times }: Rooms['signingKeys']): CommandRooms['signingKeys'] {
  return {
    async list() {
      const keys = await records()
      return keys.map((key) => ({ ...key, next: nextStep(key, keys, times) }))
    },
    rotate: rotation.rotate,
    retire: rotation.retire,
  }
}

/** Which version of the keys makes new values, and which are kept. */
function describeRing({ current, versions }: RingKeys): string {
  const others = (is: (id: number) => boolean) =>
    versions
      .map(({ id }) => id)
      .filter(is)
      .join(', ')
  const [older, ready] = [others((id) => id < current), others((id) => id > current)]
  return [`version ${current}`, older && `older ones kept: ${older}`, ready && `not in use yet: ${ready}`]
    .filter(Boolean)
    .join('; ')
}

async function describeStatus({ place, embedded }: OpenDatabase, rooms: Rooms, config: Config): Promise<StatusReport> {
  const running = await fetch(`${config.issuer}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
    (answer) => answer.ok,
    () => false,
  )
  return {
    version: VERSION,
    issuer: config.issuer,
    running,
    database: embedded ? `embedded PostgreSQL in ${place}` : place,
    data_folder: embedded ? config.dataDir : undefined,
    clients: (await rooms.clients.list()).length,
    resources: (await rooms.resources.list()).length,
    users: (await rooms.accounts.list()).length,
    key_ring: describeRing(rooms.ring.keys),
    signing_keys: rooms.signingKeys
      .held()
      .filter(({ state }) => state === 'active')
      .map(({ alg, kid }) => `${alg} ${kid}`),
    administrator: await rooms.accounts.hasAdmin(),
  }
}
