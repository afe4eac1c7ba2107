// try m2m, try login: the tour, told step by step.
import type { Command } from 'commander'
import { OperatorFault } from '../vocabulary/fault.ts'
import { examples, wantsJson } from './command.ts'
import type { Output } from './output.ts'

export interface TryOptions {
  /** a line of the story; silent when the caller wants JSON */
  readonly say: (line: string) => void
  /** go ahead on a database that is not the embedded one */
  readonly yes: boolean
  /** leave what was made, so that the commands can be run by hand */
  readonly keep: boolean
}

/** Tells a story. @returns what came of it, for those who asked for JSON */
export type TryStory<Options extends TryOptions = TryOptions> = (options: Options) => Promise<{ readonly ok: boolean }>

/** `browser`: print a URL to open, instead of walking through the forms */
export type TryLoginOptions = TryOptions & { readonly browser: boolean }

const KEEP = 'leave what was made until the next start, so that the commands can be run by hand'

/** Adds the `try` commands. */
export function addTryCommands(
  program: Command,
  { tryM2m, tryLogin, output }: { tryM2m: TryStory; tryLogin: TryStory<TryLoginOptions>; output: Output },
): void {
  const group = program.command('try').description('see Gatehouse at work, each step with its curl command')
  const tell = async (command: Command, story: (say: (line: string) => void) => Promise<{ readonly ok: boolean }>) => {
    const json = wantsJson(command)
    const result = await story((line) => (json ? undefined : output.out(`${line}\n`)))
    if (json) output.out(`${JSON.stringify(result, null, 2)}\n`)
    if (!result.ok) {
      throw new OperatorFault(
        'A step did not go as it should.',
        'The log of the server says more; its request id is in the answer.',
      )
    }
  }

  group
    .command('m2m')
    .description('a service gets a token and calls the demo API through the gateway')
    .option('--keep', KEEP)
    .option('-y, --yes', 'also with a database that is not the embedded one')
    .addHelpText('after', examples('try m2m'))
    .action((options: { yes?: boolean; keep?: boolean }, command: Command) =>
      tell(command, (say) => tryM2m({ say, yes: options.yes === true, keep: options.keep === true })),
    )

  group
    .command('login')
    .description('a person logs in to an app and lets it act for her')
    .option('--browser', 'print a URL and let me log in myself')
    .option('--keep', KEEP)
    .option('-y, --yes', 'also with a database that is not the embedded one')
    .addHelpText('after', examples('try login', 'try login --browser'))
    .action((options: { yes?: boolean; browser?: boolean; keep?: boolean }, command: Command) => {
      if (options.browser && wantsJson(command)) {
        throw new OperatorFault('With --json nobody would see the address to open.', 'Leave out --json or --browser.', {
          exitCode: 2,
        })
      }
      return tell(command, (say) =>
        tryLogin({ say, yes: options.yes === true, browser: options.browser === true, keep: options.keep === true }),
      )
    })
}
