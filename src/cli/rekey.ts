// rekey: changes what wraps the key ring, or the keys in it, while servers run.
import { type Command, Option } from 'commander'
import type { Rekey } from '../secrets/rekey.ts'
import type { Need } from '../secrets/still-needed.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { answer, confirm, examples, OPERATOR } from './command.ts'
import type { Output } from './output.ts'
import { formatTime } from './table.ts'

/** Opens what changes the ring for one command. */
export type WithRekey = <T>(command: (rekey: Rekey) => Promise<T>) => Promise<T>

interface Options {
  readonly makeSecret?: boolean
  readonly ring?: boolean
  readonly dropOld?: boolean
  readonly now?: boolean
  readonly yes?: boolean
}

/** Adds the `rekey` command. */
export function addRekeyCommand(
  program: Command,
  { withRekey, output }: { withRekey: WithRekey; output: Output },
): void {
  program
    .command('rekey')
    .description('wrap the key ring under the first secret of GATEHOUSE_SECRET, or change the keys in it')
    .addOption(
      new Option(
        '--make-secret',
        'embedded database: put a new secret in the place of the one in secret.key',
      ).conflicts(['ring', 'dropOld']),
    )
    .addOption(
      new Option(
        '--ring',
        'add new keys, which hash, seal and sign cookies from now on; what older ones made stays good',
      ).conflicts(['dropOld']),
    )
    .option('--drop-old', 'drop the older keys that nothing needs any more')
    .option('--now', 'with --drop-old: drop them even if they are needed, and end what needs them')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
To change GATEHOUSE_SECRET, start every node with "new,old", run rekey with the same setting, then start every node with "new".
${examples('rekey', 'rekey --make-secret', 'rekey --ring', 'rekey --drop-old', 'rekey --drop-old --now --yes')}`,
    )
    .action((options: Options, command: Command) => {
      if (options.now && !options.dropOld) {
        throw new OperatorFault('--now goes with --drop-old.', 'Add it, or leave --now away.', { exitCode: 2 })
      }
      return withRekey((rekey) => {
        if (options.makeSecret) return makeSecret(rekey, output, command)
        if (options.ring) return addVersion(rekey, output, command)
        return options.dropOld ? dropOld(rekey, options, output, command) : rewrap(rekey, output, command)
      })
    })
}

async function rewrap(rekey: Rekey, output: Output, command: Command): Promise<void> {
  const { was, of } = await rekey.rewrap(OPERATOR)
  const list = `of ${of} secret${of === 1 ? '' : 's'}`
  const text =
    was === 1
      ? `The key ring was under the first ${list} already.\n`
      : `The key ring is under the first ${list} now; before, it was under number ${was}.\n${AFTER}`
  answer(output, command, { rewrapped: was > 1, was, of }, text)
}

const AFTER = 'A copy of the database from before still opens with the old secret: keep that as long as the copy.\n'

async function makeSecret(rekey: Rekey, output: Output, command: Command): Promise<void> {
  await rekey.makeSecret(OPERATOR)
  answer(
    output,
    command,
    { secret_made: true },
    `secret.key holds a new secret, and the key ring is under it.\n${AFTER}`,
  )
}

async function addVersion(rekey: Rekey, output: Output, command: Command): Promise<void> {
  const { version, resealed } = await rekey.addVersion(OPERATOR)
  const text = `Version ${version} of the keys makes everything new; signing keys and secrets sealed again: ${resealed}.
Older versions stay for reading. Some day "rekey --drop-old" drops them.\n`
  answer(output, command, { version, resealed }, text)
}

async function dropOld(rekey: Rekey, options: Options, output: Output, command: Command): Promise<void> {
  if (options.now) await confirm(output, 'End whatever still needs the older keys?', options.yes)
  const { dropped, needed } = await rekey.dropOld(OPERATOR, options.now === true)
  const told = needed.map(tellNeed).join('')
  if (dropped.length === 0 && needed.length > 0) {
    throw new OperatorFault(
      `The older keys are still needed:\n${told.trimEnd()}`,
      'Wait, or add --now to end these. Nothing was changed.',
    )
  }
  const did = dropped.length > 0 ? `Dropped: version ${dropped.join(', ')}.\n` : 'There are no older keys.\n'
  const rest = options.now ? 'Ended with it:\n' : 'Still needed:\n'
  answer(output, command, { dropped, needed }, needed.length > 0 ? did + rest + told : did)
}

function tellNeed({ version, what, count, until }: Need): string {
  const many = what === 'access tokens' && count === 0 ? what : `${count} ${what}`
  const end = until ? `until ${formatTime(until)}` : 'until each was used once more, or is replaced'
  return `  version ${version}: ${many}, ${end}\n`
}
