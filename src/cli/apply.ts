// apply FILE: resources, clients and users as one document says.
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ApplyResult } from '../apply/execute.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { answer, examples, OPERATOR } from './command.ts'
import type { Output } from './output.ts'
import type { WithRooms } from './rooms.ts'

/** Adds the `apply` command. */
export function addApplyCommand(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  program
    .command('apply')
    .description('make resources, clients and users what a YAML document says; a second time changes nothing')
    .argument('<file>', 'the document, or - for standard input')
    .option('--secrets <file>', 'write new secrets and links to this new file instead of printing them')
    .addHelpText('after', examples('apply gatehouse.yaml', 'apply gatehouse.yaml --secrets secrets.json'))
    .action(async (path: string, options: { secrets?: string }, command: Command) => {
      const text = path === '-' ? await output.readInput() : await read(path)
      await withRooms(async ({ apply }) => {
        const result = await apply(text, { actor: OPERATOR, ...(options.secrets && { secretsFile: options.secrets }) })
        const { plan, changed, secrets, secretsFile } = result
        answer(output, command, { plan, changed, ...secrets, secrets_file: secretsFile }, toText(result))
      })
    })
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new OperatorFault(
      `${path} cannot be read: ${(error as Error).message}.`,
      'Name a YAML file, or - for standard input. Nothing was changed.',
    )
  }
}

const SIGNS = { create: '+', change: '~', same: ' ' } as const

function toText({ plan, changed, secrets, secretsFile }: ApplyResult): string {
  const steps = plan.map(({ object, id, action, fields }) => {
    const detail = action === 'change' ? ` (${fields.join(', ')})` : ''
    return `${SIGNS[action]} ${object} ${id}: ${action}${detail}\n`
  })
  const summary = changed === 0 ? 'Everything is so already; nothing was changed.\n' : `${changed} changed.\n`
  const shown = [
    ...Object.entries(secrets.clients).map(([id, { client_secret }]) => `  ${id}  ${client_secret}\n`),
    ...Object.entries(secrets.resources).map(([id, { secret }]) => `  ${id}  ${secret}\n`),
    ...Object.entries(secrets.users).map(([email, { set_password_url }]) => `  ${email}  ${set_password_url}\n`),
  ]
  const told = shown.length > 0 ? `\nSecrets and one-time links, shown this once:\n\n${shown.join('')}` : ''
  return `${steps.join('')}${summary}${told}${secretsFile ? `Secrets and one-time links are in ${secretsFile}.\n` : ''}`
}
