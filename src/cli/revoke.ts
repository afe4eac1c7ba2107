// revoke: ends trust at once, by the name of what is to end.
import type { Command } from 'commander'
import { OperatorFault } from '../vocabulary/fault.ts'
import { parseOpaque } from '../vocabulary/opaque.ts'
import { answer, confirm, examples, GATEHOUSE, OPERATOR, readSecret, secretInArgv } from './command.ts'
import { findClient, findUser } from './find.ts'
import type { Output } from './output.ts'
import type { Rooms, WithRooms } from './rooms.ts'

interface Options {
  readonly user?: string
  readonly client?: string
  readonly grant?: string
  readonly session?: string
  readonly token?: boolean
  readonly stdin?: boolean
  readonly all?: boolean
  readonly yes?: boolean
}

const EFFECT = 'Effective now on every node; an API that does not ask stops within the life of its access tokens.'

/** Adds the `revoke` command. */
export function addRevokeCommand(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  program
    .command('revoke')
    .description('end sessions, grants and tokens at once; whoever it was may begin anew, unless disabled')
    .option('--user <email>', 'all that a person has open; with --client, what the person allowed that app')
    .option('--client <id>', 'all that a client holds')
    .option('--grant <id>', 'one grant; "user show" lists them')
    .option('--session <id>', 'one login session; "user show" lists them')
    .option('--token', 'one token or code, from a prompt or standard input; a refresh token ends its family')
    .option('--stdin', 'read the token from standard input')
    .option('--all', 'all that everybody has open, as after a failover to an asynchronous standby')
    .option('-y, --yes', 'with --all: do not ask')
    // Let through, so that a token among the arguments gets its own answer.
    .allowExcessArguments()
    .addHelpText(
      'after',
      examples(
        'revoke --user ada@example.com',
        'revoke --user ada@example.com --client shop',
        'revoke --token --stdin < token.txt',
        'revoke --all',
      ),
    )
    .action(async (options: Options, command: Command) => {
      checkWords(command.args, options)
      checkChoice(options)
      if (options.all) {
        await confirm(output, 'End every session, grant and token of everybody? All people sign in anew.', options.yes)
      }
      const token = options.token ? await readSecret(output, 'Token: ', options.stdin) : undefined
      await withRooms(async (rooms) => {
        const { json, text } = await revoke(rooms, options, token)
        answer(output, command, json, `${text} ${EFFECT}\n`)
      })
    })
}

/** Anything that is no option may be a token that was meant to be secret. */
function checkWords(words: readonly string[], { token, stdin }: Options): void {
  if (words.some((word) => token || parseOpaque(word) || word.split('.').length === 3)) throw secretInArgv()
  if (words.length > 0) throw usage(`Say what "${words[0]}" is.`)
  if (stdin && !token) throw usage('--stdin goes with --token.')
}

function checkChoice({ user, client, grant, session, token, all }: Options): void {
  const chosen = [user ?? client, grant, session, token, all].filter((one) => one !== undefined).length
  if (chosen === 1) return
  throw usage(chosen === 0 ? 'Say what is to end.' : 'These cannot be combined.')
}

function usage(what: string): OperatorFault {
  const advice = 'Give one of --user, --client, --grant, --session, --token, --all, or --user with --client.'
  return new OperatorFault(what, `${advice} Nothing was changed.`, { exitCode: 2 })
}

interface Revoked {
  /** `revoked` is the kind of thing, and the others name it */
  readonly json: { readonly revoked: string; readonly [name: string]: unknown }
  readonly text: string
}

/** @returns what was ended */
async function revoke(rooms: Rooms, options: Options, token: string | undefined): Promise<Revoked> {
  const { user, client, grant, session, all } = options
  if (all) {
    const ended = await rooms.trust.all(OPERATOR)
    const text = `All that ${count(ended.accounts, 'user')} and ${count(ended.clients, 'client')} had open is over.`
    return { json: { revoked: 'everything', ...ended }, text }
  }
  if (client !== undefined) await findClient(rooms, client)
  if (user !== undefined) {
    const { id, email } = await findUser(rooms, user)
    if (client === undefined) {
      await rooms.accounts.revoke(id, OPERATOR)
      return { json: { revoked: 'user', user: email }, text: `All that ${email} had open is over.` }
    }
    if (await rooms.trust.consent(id, client, OPERATOR)) {
      return { json: { revoked: 'consent', user: email, client }, text: `What ${email} allowed ${client} is over.` }
    }
    throw nothing(`${email} has not allowed ${client} anything.`)
  }
  if (client !== undefined) {
    await rooms.clients.revoke(client, OPERATOR)
    return { json: { revoked: 'client', client }, text: `All that ${client} held is over.` }
  }
  if (grant !== undefined) {
    if (await rooms.trust.grant(grant, OPERATOR))
      return { json: { revoked: 'grant', grant }, text: 'The grant is over.' }
    throw nothing('There is no such grant, or it is over.')
  }
  if (session !== undefined) {
    if (await rooms.trust.session(session, OPERATOR)) {
      return { json: { revoked: 'session', session }, text: 'The session is over.' }
    }
    throw nothing('There is no such session, or it is over.')
  }
  const ended = await rooms.trust.token(token!, OPERATOR)
  if (ended) return { json: { revoked: ended.replaceAll(' ', '_') }, text: `The ${ended} is over.` }
  throw nothing('This is no token of this server, or it is over already.')
}

function nothing(what: string): OperatorFault {
  return new OperatorFault(what, `"${GATEHOUSE} user show EMAIL" lists sessions and grants. Nothing was changed.`)
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
