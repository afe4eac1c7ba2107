// client add, list, show, disable, enable, remove.
import type { Command } from 'commander'
import type { Client } from '../clients/client.ts'
import { writeClientFields } from '../clients/fields.ts'
import { addClientAdd } from './client-add.ts'
import { addClientSecretCommands, countSecrets, describeSecret } from './client-secret.ts'
import { answer, confirm, examples, GATEHOUSE, OPERATOR } from './command.ts'
import { findClient, unknownClient } from './find.ts'
import type { Output } from './output.ts'
import type { WithRooms } from './rooms.ts'
import { formatFacts, formatTable, formatTime } from './table.ts'

/** Adds the `client` commands. */
export function addClientCommands(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  const group = program.command('client').description('applications that may ask for tokens')

  addClientAdd(group, { withRooms, output })

  group
    .command('list')
    .description('list all clients')
    .addHelpText('after', examples('client list'))
    .action((_options: object, command: Command) =>
      withRooms(async (rooms) => {
        const clients = await rooms.clients.list()
        answer(output, command, { clients: clients.map(describe) }, listText(clients))
      }),
    )

  group
    .command('show')
    .description('show everything about a client but its secret, which nobody can see again')
    .argument('<id>', 'the client_id')
    .addHelpText('after', examples('client show billing'))
    .action((id: string, _options: object, command: Command) =>
      withRooms(async (rooms) => {
        const client = await findClient(rooms, id)
        const secrets = await rooms.clients.listSecrets(id)
        const shown = {
          ...describe(client),
          secrets: secrets.map(describeSecret),
        }
        answer(output, command, shown, showText(client, countSecrets(secrets, rooms.now())))
      }),
    )

  addClientSecretCommands(group, { withRooms, output })

  for (const [name, act, done, description] of [
    ['disable', 'disable', 'disabled', 'refuse a client everything, at once and until it is enabled'],
    ['enable', 'enable', 'enabled', 'let a disabled client in again'],
  ] as const) {
    group
      .command(name)
      .description(description)
      .argument('<id>', 'the client_id')
      .addHelpText('after', examples(`client ${name} billing`))
      .action((id: string, _options: object, command: Command) =>
        withRooms(async (rooms) => {
          const result = await rooms.clients[act](id, OPERATOR)
          if (result === 'unknown') throw await unknownClient(rooms, id)
          const text = result === 'done' ? `${id} is ${done}.\n` : `${id} was ${done} already.\n`
          answer(output, command, { id, disabled: name === 'disable', changed: result === 'done' }, text)
        }),
      )
  }

  group
    .command('remove')
    .description('remove a client and all that hangs on it, for good')
    .argument('<id>', 'the client_id')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('client remove billing --yes'))
    .action((id: string, options: { yes?: boolean }, command: Command) =>
      withRooms(async (rooms) => {
        const client = await findClient(rooms, id)
        await confirm(output, `Remove ${id} (${client.name}) and end all its tokens?`, options.yes)
        const removed = (await rooms.clients.remove(id, OPERATOR)) === 'done'
        answer(output, command, { id, removed }, `${id} is removed.\n`)
      }),
    )
}

function describe(client: Client): Record<string, unknown> {
  return { ...writeClientFields(client), disabled: client.disabledAt !== undefined, created_at: client.createdAt }
}

function state(client: Client): string {
  return client.disabledAt ? 'disabled' : 'enabled'
}

function listText(clients: readonly Client[]): string {
  if (clients.length === 0) {
    return `No clients yet. Add the first one:\n  ${GATEHOUSE} client add billing --name Billing --kind service\n`
  }
  return formatTable(
    ['ID', 'NAME', 'KIND', 'AUTH', 'STATE'],
    clients.map((client) => [client.id, client.name, client.kind, client.authMethod, state(client)]),
  )
}

function showText(client: Client, secrets: string | undefined): string {
  const scopes = Object.entries(client.scopes).map(([id, names]) => `${id}: ${names.join(' ')}`)
  return formatFacts([
    ['id', client.id],
    ['name', client.name],
    ['kind', client.kind],
    ['state', client.disabledAt ? `disabled since ${formatTime(client.disabledAt)}` : 'enabled'],
    ['auth', client.authMethod],
    ['secrets', secrets],
    ['first party', client.firstParty ? 'yes: no consent page' : 'no'],
    ['requests', client.requirePar ? 'only when they were pushed' : undefined],
    ['DPoP', client.dpop === 'nonce' ? 'required, with a nonce' : client.dpop],
    ['redirect URIs', client.redirectUris.length > 0 ? client.redirectUris : undefined],
    ['after sign-out', client.postLogoutRedirectUris.length > 0 ? client.postLogoutRedirectUris : undefined],
    ['response modes', client.responseModes.join(', ')],
    ['refresh', client.refresh],
    ['scopes', scopes],
    ['serves', client.serves.length > 0 ? client.serves : undefined],
    ['keys', client.jwksUri ?? (client.jwks ? `${client.jwks.keys.length} registered` : undefined)],
    ['added', formatTime(client.createdAt)],
  ])
}
