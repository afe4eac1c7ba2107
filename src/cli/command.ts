// What every command shares: the answer as text or JSON, the question before something is lost, secrets, and faults about names.
import type { Command } from 'commander'
import { type DocumentFault, formatPath } from '../vocabulary/document.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { didYouMean } from '../vocabulary/nearest.ts'
import type { Output } from './output.ts'

/** How a command is called in hints and examples. */
export const GATEHOUSE = 'npx --no gatehouse'

/** Who acts, as the audit calls it. */
export const OPERATOR = 'operator'

/** @returns whether the caller wants one JSON document on stdout */
export function wantsJson(command: Command): boolean {
  return command.optsWithGlobals<{ json?: boolean }>().json === true
}

/** Prints the answer of a command: `value` as one JSON document, or `text`. */
export function answer(output: Output, command: Command, value: object, text: string): void {
  output.out(wantsJson(command) ? `${JSON.stringify(value, null, 2)}\n` : text)
}

/** @returns examples for the end of a command's help */
export function examples(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${GATEHOUSE} ${line}\n`).join('')}`
}

/**
 * Asks before something is lost for good.
 * @throws OperatorFault when the answer is no, or nobody can be asked and `yes` was not given
 */
export async function confirm(output: Output, question: string, yes: boolean | undefined): Promise<void> {
  if (yes) return
  if (!output.isTerminal) {
    throw new OperatorFault('This needs a confirmation, and there is no terminal to ask.', 'Add --yes to go ahead.', {
      exitCode: 2,
    })
  }
  const said = (await output.ask(`${question} [y/N] `)).trim().toLowerCase()
  if (said !== 'y' && said !== 'yes') throw new OperatorFault('Nothing was changed.', 'Answer y to go ahead.')
}

/**
 * @param what a word for the kind of thing: client, resource, user
 * @param known the ids that there are
 * @param group the commands about such things
 */
export function unknownFault(what: string, id: string, known: readonly string[], group = what): OperatorFault {
  return new OperatorFault(
    `There is no ${what} ${JSON.stringify(id)}${didYouMean(id, known) || '.'}`,
    `"${GATEHOUSE} ${group} list" shows those that there are.`,
  )
}

/**
 * @param flags the option (or argument) that each field of the document comes from
 * @returns one fault that tells all, in the words of the command line
 */
export function fieldsFault(faults: readonly DocumentFault[], flags: Readonly<Record<string, string>>): OperatorFault {
  const lines = faults.map(({ path: [field, ...rest], text }) => {
    const place = [flags[String(field)] ?? String(field), formatPath(rest)].filter(Boolean).join(' ')
    return `  ${place} ${text}`
  })
  return new OperatorFault(['This cannot be added:', ...lines].join('\n'), 'Mend the command. Nothing was changed.')
}

/** @returns `text` before and after its last equals sign; a fault when it has none */
export function splitPair(text: string, shape: string): readonly [string, string] {
  const at = text.lastIndexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new OperatorFault(`${JSON.stringify(text)} is not ${shape}.`, 'Put an equals sign between the two.', {
    exitCode: 2,
  })
}

/** Gathers the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

/**
 * Reads a secret where other users of the machine cannot see it: from standard input, or a prompt that shows nothing.
 * @throws OperatorFault when there is neither
 */
export async function readSecret(output: Output, question: string, stdin: boolean | undefined): Promise<string> {
  if (!stdin && !output.isTerminal) {
    throw new OperatorFault(
      'There is no terminal to ask for the secret.',
      'Add --stdin and send it to standard input.',
      {
        exitCode: 2,
      },
    )
  }
  const secret = stdin ? (await output.readInput()).replace(/\r?\n$/, '') : await output.ask(question, true)
  if (secret === '') throw new OperatorFault('The secret is empty.', 'Nothing was changed.')
  return secret
}

/** Whoever types a secret as an argument has shown it to everybody who can list processes, and to the shell's history. */
export function secretInArgv(): OperatorFault {
  return new OperatorFault(
    'A secret does not belong on a command line, where other users of this machine can read it.',
    'Use --stdin, or answer at the prompt. Take this one as known, and choose another. Nothing was changed.',
    { exitCode: 2 },
  )
}
