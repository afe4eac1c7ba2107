// What the tests of the commands share: rooms over a database of their own, and the command line over them.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { createOperatorRooms, type OperatorRooms } from '../helpers/operator-rooms.ts'
import { createRun } from './run.ts'

type Run = ReturnType<typeof createRun>

/** Made anew for each test of a file. */
export interface Commands {
  readonly database: TestDatabase
  readonly rooms: OperatorRooms
  readonly run: Run
  /** an empty folder */
  readonly folder: string
  /** Runs a command that must end well. */
  done(args: readonly string[], options?: Parameters<Run>[1]): ReturnType<Run>
}

export const ORDERS = 'https://orders.example.com'
export const ADD_ORDERS = [
  ...['resource', 'add', ORDERS, '--name', 'Orders', '--lifetime', '5m'],
  ...['--scope', 'orders:read=See your orders', '--scope', 'orders:write=Place orders', '--risk', 'orders:write=high'],
]
export const ADD_BILLING = [
  ...['client', 'add', 'billing', '--name', 'Billing', '--kind', 'service'],
  ...['--scope', `${ORDERS}=orders:read orders:write`],
]

/** @param take is handed the commands before each test */
export function eachWithCommands(take: (commands: Commands) => void): void {
  let end: () => Promise<void>
  beforeEach(async () => {
    const database = await createTestDatabase()
    const rooms = await createOperatorRooms(database)
    const run = createRun(rooms)
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'))
    end = async () => {
      await rooms.close()
      await database.drop()
      await rm(folder, { recursive: true, force: true })
    }
    const done: Commands['done'] = async (args, options) => {
      const ran = await run(args, options)
      if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.err}`)
      return ran
    }
    take({ database, rooms, run, folder, done })
  })
  afterEach(() => end())
}
