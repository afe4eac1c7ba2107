// status: what this Gatehouse is set up to be, and whether it runs.
import type { Command } from 'commander'
import { answer, examples } from './command.ts'
import type { Output } from './output.ts'
import { formatFacts } from './table.ts'

/** Facts in the order in which they are shown; names in snake_case. Never a secret, never a DATABASE_URL with its password. */
export type StatusReport = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** Adds the `status` command. */
export function addStatusCommand(
  program: Command,
  { status, output }: { status: () => Promise<StatusReport>; output: Output },
): void {
  program
    .command('status')
    .description('show the issuer, the database, whether the server runs, and how much there is')
    .addHelpText('after', examples('status'))
    .action(async (_options: object, command: Command) => {
      const report = await status()
      const facts = Object.entries(report).map(([name, value]) => [name.replaceAll('_', ' '), inWords(value)] as const)
      answer(output, command, report, formatFacts(facts))
    })
}

function inWords(value: StatusReport[string]): StatusReport[string] {
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : value
}
