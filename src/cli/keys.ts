// keys list.
import type { Command } from 'commander'
import { answer, examples } from './command.ts'
import type { Output } from './output.ts'
import type { WithRooms } from './rooms.ts'
import { formatTable, formatTime } from './table.ts'

/** Adds the `keys` commands. */
export function addKeysCommands(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  const group = program.command('keys').description('keys that sign tokens')

  group
    .command('list')
    .description('list the signing keys; their private parts leave the database sealed only')
    .addHelpText('after', examples('keys list'))
    .action((_options: object, command: Command) =>
      withRooms(async (rooms) => {
        // Named one by one: the rooms' keys carry their private parts.
        const keys = (await rooms.signingKeys.list()).map(({ kid, alg, createdAt }) => ({ kid, alg, createdAt }))
        const json = { keys: keys.map(({ kid, alg, createdAt }) => ({ kid, alg, created_at: createdAt })) }
        const rows = keys.map(({ kid, alg, createdAt }) => [kid, alg, formatTime(createdAt)])
        const text =
          rows.length > 0 ? formatTable(['KID', 'ALG', 'MADE'], rows) : 'No keys yet. The first start makes them.\n'
        answer(output, command, json, text)
      }),
    )
}
