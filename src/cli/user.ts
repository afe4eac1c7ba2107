// user add, list, show, disable, enable, set-password, password-link, admin-link.
import type { Command } from 'commander'
import type { Account } from '../accounts/account.ts'
import { isEmail } from '../accounts/email.ts'
import { readUserFields } from '../apply/user-fields.ts'
import type { Grant } from '../sessions/grants.ts'
import type { SessionFacts } from '../sessions/sessions.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { answer, examples, fieldsFault, GATEHOUSE, OPERATOR, readSecret, secretInArgv } from './command.ts'
import { findUser } from './find.ts'
import type { Output } from './output.ts'
import type { OneTimeLink, WithRooms } from './rooms.ts'
import { formatFacts, formatTable, formatTime } from './table.ts'

const FLAGS: Readonly<Record<string, string>> = { email: 'EMAIL', name: '--name' }

/** Adds the `user` commands. */
export function addUserCommands(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  const group = program.command('user').description('people who can log in')

  group
    .command('add')
    .description('add a person and print a one-time link for the first password')
    .argument('<email>', 'what the person logs in with')
    .option('--name <text>', 'what apps may call the person')
    .addHelpText('after', examples('user add ada@example.com --name "Ada Lovelace"'))
    .action(async (email: string, options: { name?: string }, command: Command) => {
      const reading = readUserFields({ isEmail }, { email, name: options.name })
      if (!reading.ok) throw fieldsFault(reading.faults, FLAGS)
      await withRooms(async (rooms) => {
        const account = await rooms.accounts.add(reading.value, OPERATOR)
        if (!account) {
          throw new OperatorFault(
            `There is a user ${email} already.`,
            `"${GATEHOUSE} user set-password ${email}" gives a new password. Nothing was changed.`,
          )
        }
        const link = await rooms.accounts.makeSetPasswordLink(account.id, OPERATOR)
        const users = { [email]: { set_password_url: link.url } }
        const text = `Added ${email}.\n\nA link to choose a password, ${once(link)}:\n\n  ${link.url}\n`
        answer(output, command, { user: describe(account), users }, text)
      })
    })

  group
    .command('list')
    .description('list all users')
    .addHelpText('after', examples('user list'))
    .action((_options: object, command: Command) =>
      withRooms(async (rooms) => {
        const accounts = await rooms.accounts.list()
        answer(output, command, { users: accounts.map(describe) }, listText(accounts))
      }),
    )

  group
    .command('show')
    .description('show a user, with the sessions and grants that are open')
    .argument('<email>', 'what the person logs in with')
    .addHelpText('after', examples('user show ada@example.com'))
    .action((email: string, _options: object, command: Command) =>
      withRooms(async (rooms) => {
        const account = await findUser(rooms, email)
        const sessions = await rooms.trust.sessionsOf(account.id)
        const grants = await rooms.trust.grantsOf(account.id)
        const open = { sessions: sessions.map(describeSession), grants: grants.map(describeGrant) }
        answer(output, command, { ...describe(account), ...open }, showText(account) + openText(sessions, grants))
      }),
    )

  for (const [name, act, done, description] of [
    ['disable', 'disable', 'disabled', 'refuse a person everything, at once and until enabled again'],
    ['enable', 'enable', 'enabled', 'let a disabled person in again'],
  ] as const) {
    group
      .command(name)
      .description(description)
      .argument('<email>', 'what the person logs in with')
      .addHelpText('after', examples(`user ${name} ada@example.com`))
      .action((email: string, _options: object, command: Command) =>
        withRooms(async (rooms) => {
          const account = await findUser(rooms, email)
          const changed = await rooms.accounts[act](account.id, OPERATOR)
          const text = changed ? `${account.email} is ${done}.\n` : `${account.email} was ${done} already.\n`
          answer(output, command, { email: account.email, disabled: name === 'disable', changed }, text)
        }),
      )
  }

  group
    .command('set-password')
    .description('give a person a new password, from a prompt or standard input')
    .argument('<email>', 'what the person logs in with')
    // Let through, so that a password among the arguments gets its own answer.
    .allowExcessArguments()
    .option('--stdin', 'read the password from standard input')
    .addHelpText('after', examples('user set-password ada@example.com --stdin < password.txt'))
    .action(async (email: string, options: { stdin?: boolean }, command: Command) => {
      if (command.args.length > 1) throw secretInArgv()
      await withRooms(async (rooms) => {
        const account = await findUser(rooms, email)
        const password = await readSecret(output, `New password for ${account.email}: `, options.stdin)
        const refusal = await rooms.accounts.setPassword(account.id, password, OPERATOR)
        if (refusal !== undefined) throw new OperatorFault(refusal, 'Choose another password. Nothing was changed.')
        answer(output, command, { email: account.email, changed: true }, `${account.email} has a new password.\n`)
      })
    })

  group
    .command('password-link')
    .description('print a one-time link with which a person chooses a new password; until then the old one stays')
    .argument('<email>', 'what the person logs in with')
    .addHelpText('after', examples('user password-link ada@example.com'))
    .action((email: string, _options: object, command: Command) =>
      withRooms(async (rooms) => {
        const account = await findUser(rooms, email)
        const link = await rooms.accounts.makeSetPasswordLink(account.id, OPERATOR)
        const users = { [account.email]: { set_password_url: link.url } }
        answer(output, command, { users }, `A link to choose a password, ${once(link)}:\n\n  ${link.url}\n`)
      }),
    )

  group
    .command('admin-link')
    .description('print a one-time link that makes an administrator')
    .addHelpText('after', examples('user admin-link'))
    .action((_options: object, command: Command) =>
      withRooms(async (rooms) => {
        const link = await rooms.accounts.makeAdminLink(OPERATOR)
        const text = `A link to become administrator, ${once(link)}:\n\n  ${link.url}\n`
        answer(output, command, { url: link.url, expires_at: link.expiresAt }, text)
      }),
    )
}

function once({ expiresAt }: OneTimeLink): string {
  return `good once until ${formatTime(expiresAt)}`
}

function describe(account: Account): Record<string, unknown> {
  return {
    id: account.id,
    email: account.email,
    name: account.name,
    role: account.role,
    has_password: account.hasPassword,
    disabled: account.disabledAt !== undefined,
    created_at: account.createdAt,
  }
}

function describeSession({ uid, signedInAt, expiresAt, clients }: SessionFacts): Record<string, unknown> {
  return { id: uid, signed_in_at: signedInAt, expires_at: expiresAt, clients }
}

function describeGrant({ id, clientId, expiresAt }: Grant): Record<string, unknown> {
  return { id, client_id: clientId, expires_at: expiresAt }
}

function openText(sessions: readonly SessionFacts[], grants: readonly Grant[]): string {
  const time = (at: Date | undefined) => (at ? formatTime(at) : '')
  const lists = [
    sessions.length > 0 &&
      formatTable(
        ['SESSION', 'SIGNED IN', 'ENDS', 'CLIENTS'],
        sessions.map((one) => [one.uid, time(one.signedInAt), time(one.expiresAt), one.clients.join(' ')]),
      ),
    grants.length > 0 &&
      formatTable(
        ['GRANT', 'CLIENT', 'ENDS'],
        grants.map((one) => [one.id, one.clientId, time(one.expiresAt)]),
      ),
  ]
  return lists.flatMap((list) => (list ? [`\n${list}`] : [])).join('')
}

function state(account: Account): string {
  if (account.disabledAt) return 'disabled'
  return account.hasPassword ? 'enabled' : 'no password yet'
}

function listText(accounts: readonly Account[]): string {
  if (accounts.length === 0) {
    return `No users yet. Add the first one:\n  ${GATEHOUSE} user add ada@example.com --name "Ada Lovelace"\n`
  }
  return formatTable(
    ['EMAIL', 'NAME', 'ROLE', 'STATE'],
    accounts.map((account) => [account.email, account.name ?? '', account.role, state(account)]),
  )
}

function showText(account: Account): string {
  return formatFacts([
    ['email', account.email],
    ['name', account.name],
    ['id', account.id],
    ['role', account.role],
    ['state', state(account)],
    ['added', formatTime(account.createdAt)],
  ])
}
