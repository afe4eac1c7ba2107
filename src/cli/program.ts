// The command line: which commands there are, and how each end of one becomes an exit code. 0: done. 1: refused or failed.
// 2: wrong usage.
import { Command, CommanderError } from 'commander'
import { OperatorFault } from '../vocabulary/fault.ts'
import { addApplyCommand } from './apply.ts'
import { addClientCommands } from './client.ts'
import { examples, GATEHOUSE, secretInArgv } from './command.ts'
import { addKeysCommands } from './keys.ts'
import { addMigrateCommand, type Migrate } from './migrate.ts'
import type { Output } from './output.ts'
import { addRekeyCommand, type WithRekey } from './rekey.ts'
import { addResourceCommands } from './resource.ts'
import { addRevokeCommand } from './revoke.ts'
import type { WithRooms } from './rooms.ts'
import { addStartCommand, type Start } from './start.ts'
import { addStatusCommand, type StatusReport } from './status.ts'
import { addTryCommands, type TryLoginOptions, type TryStory } from './try.ts'
import { addUserCommands } from './user.ts'

export interface ProgramParts {
  readonly version: string
  readonly withRooms: WithRooms
  readonly start: Start
  readonly migrate: Migrate
  readonly withRekey: WithRekey
  readonly status: () => Promise<StatusReport>
  readonly tryM2m: TryStory
  readonly tryLogin: TryStory<TryLoginOptions>
  readonly output: Output
}

export interface Program {
  /** Runs one command. @param args without node and script @returns the exit code; never throws */
  run(args: readonly string[]): Promise<0 | 1 | 2>
}

/** @returns the command line over the functions that do the work */
export function createProgram(parts: ProgramParts): Program {
  return {
    async run(args) {
      try {
        await runCommand(parts, args)
        return 0
      } catch (error) {
        return report(parts.output, error)
      }
    },
  }
}

const SECRET_OPTION = /^--(?:client-|new-)?(?:secret|password|token|key)(?:=|$)/

async function runCommand(parts: ProgramParts, args: readonly string[]): Promise<void> {
  const { output } = parts
  const json = args.includes('--json')
  // `revoke --token` says of what kind the secret is that comes by standard input.
  const named = args.find((arg) => !arg.startsWith('-'))
  const withoutKind = named === 'revoke' ? args.filter((arg) => arg !== '--token') : args
  if (withoutKind.some((arg) => SECRET_OPTION.test(arg))) throw secretInArgv()
  if (args.includes('--version') || args.includes('-V')) {
    output.out(json ? `${JSON.stringify({ version: parts.version })}\n` : `${parts.version}\n`)
    return
  }
  const help: string[] = []
  const program = new Command()
    .name(GATEHOUSE)
    .description('Gatehouse: an OAuth 2.0 and OpenID Connect authorization server with its own gatekeeper.')
    .option('-V, --version', 'print the version')
    .option('--json', 'answer with exactly one JSON document on stdout')
    .helpOption('-h, --help', 'show help')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => void help.push(text), writeErr: (text) => output.err(text) })
    .showHelpAfterError('Add --help to see how.')
    .addHelpText('after', examples('start', 'apply gatehouse.yaml', 'client list --json'))
    .exitOverride()
  addStartCommand(program, parts)
  addStatusCommand(program, parts)
  addMigrateCommand(program, parts)
  addApplyCommand(program, parts)
  addClientCommands(program, parts)
  addResourceCommands(program, parts)
  addUserCommands(program, parts)
  addKeysCommands(program, parts)
  addRekeyCommand(program, parts)
  addRevokeCommand(program, parts)
  addTryCommands(program, parts)
  try {
    await program.parseAsync(args, { from: 'user' })
  } finally {
    if (help.length > 0) output.out(json ? `${JSON.stringify({ help: help.join('') })}\n` : help.join(''))
  }
}

function report(output: Output, error: unknown): 0 | 1 | 2 {
  // Commander has said what is wrong. Help that was asked for ends with 0; help for want of a command does not.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof OperatorFault) {
    output.err(`${error.message}\n${error.advice}\n`)
    return error.exitCode
  }
  output.err(`Gatehouse failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return 1
}
