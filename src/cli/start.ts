// start: runs the server until it is told to stop.
import type { Command } from 'commander'
import { examples, wantsJson } from './command.ts'

export interface StartOptions {
  /** say that the server is ready as one JSON document on stdout, and everything else in the log */
  readonly json: boolean
  /** the demo API behind the local gateway; undefined leaves it to the configuration */
  readonly demo?: boolean
}

/** Runs the server. @returns when it has stopped */
export type Start = (options: StartOptions) => Promise<void>

/** Adds the `start` command. */
export function addStartCommand(program: Command, { start }: { start: Start }): void {
  program
    .command('start')
    .description('start Gatehouse; Ctrl-C stops it')
    .option('--demo', 'with the demo API (the default with the embedded database)')
    .option('--no-demo', 'without the demo API')
    .addHelpText('after', examples('start', 'start --no-demo'))
    .action(async (options: { demo?: boolean }, command: Command) => {
      await start({ json: wantsJson(command), ...(options.demo !== undefined && { demo: options.demo }) })
    })
}
