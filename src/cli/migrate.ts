// migrate: brings the tables up to date, for those who do it before the new version starts.
import type { Command } from 'commander'
import { answer, examples } from './command.ts'
import type { Output } from './output.ts'

/** Runs the migrations. @returns the names of those that ran, and of those of a newer Gatehouse that were there */
export type Migrate = () => Promise<{ readonly applied: readonly string[]; readonly newer: readonly string[] }>

/** Adds the `migrate` command. */
export function addMigrateCommand(program: Command, { migrate, output }: { migrate: Migrate; output: Output }): void {
  program
    .command('migrate')
    .description('bring the database up to date (start does it, too)')
    .addHelpText('after', examples('migrate'))
    .action(async (_options: object, command: Command) => {
      const { applied, newer } = await migrate()
      const did = applied.length > 0 ? `Applied ${applied.join(', ')}.\n` : 'The database is up to date.\n'
      const ahead =
        newer.length > 0 ? `A newer Gatehouse has applied ${newer.join(', ')}; this one can live with it.\n` : ''
      answer(output, command, { applied, newer }, did + ahead)
    })
}
