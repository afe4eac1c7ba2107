// resource add, list, show, remove.
import type { Command } from 'commander'
import { readResourceFields, writeResourceFields } from '../resources/fields.ts'
import type { Resource } from '../resources/resource.ts'
import { formatDuration } from '../vocabulary/duration.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import {
  answer,
  collect,
  confirm,
  examples,
  fieldsFault,
  GATEHOUSE,
  OPERATOR,
  splitPair,
  unknownFault,
} from './command.ts'
import type { Output } from './output.ts'
import type { Rooms, WithRooms } from './rooms.ts'
import { formatFacts, formatTable } from './table.ts'

const FLAGS: Readonly<Record<string, string>> = { id: 'ID', name: '--name', scopes: '--scope' }

interface AddOptions {
  readonly name: string
  readonly format?: string
  readonly sign?: string
  readonly lifetime?: string
  readonly scope?: readonly string[]
  readonly risk?: readonly string[]
}

/** Adds the `resource` commands. */
export function addResourceCommands(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  const group = program.command('resource').description('APIs that Gatehouse protects')

  group
    .command('add')
    .description('add a resource')
    .argument('<id>', 'its URL or urn: the audience of its tokens')
    .requiredOption('--name <text>', 'what people see')
    .option('--scope <scope=words>', 'a scope and its words on the consent page (may be repeated)', collect)
    .option('--risk <scope=risk>', 'how much a scope can do: low, normal, high (may be repeated)', collect)
    .option('--format <format>', 'form of its access tokens: jwt, opaque')
    .option('--sign <algorithm>', 'ES256, RS256')
    .option('--lifetime <duration>', 'life of its access tokens: 90s, 10m, 12h')
    .addHelpText(
      'after',
      examples('resource add https://orders.example.com --name Orders --scope "orders:read=See your orders"'),
    )
    .action((id: string, options: AddOptions, command: Command) =>
      withRooms(async (rooms) => {
        const reading = readResourceFields(toDocument(id, options))
        if (!reading.ok) throw fieldsFault(reading.faults.map(tokenFlag), FLAGS)
        if ((await rooms.resources.add(reading.value, OPERATOR)) === 'taken') {
          throw new OperatorFault(
            `There is a resource ${JSON.stringify(id)} already.`,
            `"${GATEHOUSE} resource show ${id}" shows it; "${GATEHOUSE} apply FILE" changes it. Nothing was changed.`,
          )
        }
        answer(output, command, { resource: writeResourceFields(reading.value) }, `Added ${id}.\n`)
      }),
    )

  group
    .command('list')
    .description('list all resources')
    .addHelpText('after', examples('resource list'))
    .action((_options: object, command: Command) =>
      withRooms(async (rooms) => {
        const resources = await rooms.resources.list()
        answer(output, command, { resources: resources.map(writeResourceFields) }, listText(resources))
      }),
    )

  group
    .command('show')
    .description('show a resource and its scopes')
    .argument('<id>', 'its URL or urn')
    .addHelpText('after', examples('resource show https://orders.example.com'))
    .action((id: string, _options: object, command: Command) =>
      withRooms(async (rooms) => {
        const resource = await rooms.resources.find(id)
        if (!resource) throw await unknownResource(rooms, id)
        answer(output, command, writeResourceFields(resource), showText(resource))
      }),
    )

  group
    .command('remove')
    .description('remove a resource that no client names')
    .argument('<id>', 'its URL or urn')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('resource remove https://orders.example.com --yes'))
    .action((id: string, options: { yes?: boolean }, command: Command) =>
      withRooms(async (rooms) => {
        const resource = await rooms.resources.find(id)
        if (!resource) throw await unknownResource(rooms, id)
        await confirm(output, `Remove ${id} (${resource.name})?`, options.yes)
        const clients = (await rooms.resources.remove(id, OPERATOR)) ?? []
        if (clients.length > 0) {
          throw new OperatorFault(
            `${id} is named by ${clients.join(', ')}.`,
            'Take it out of these clients (apply) or remove them first. Nothing was changed.',
          )
        }
        answer(output, command, { id, removed: true }, `${id} is removed.\n`)
      }),
    )
}

function toDocument(id: string, options: AddOptions): Record<string, unknown> {
  const { format, sign, lifetime } = options
  const scopes = new Map<string, { text: string; risk?: string }>()
  for (const pair of options.scope ?? []) {
    // Words may have an equals sign in them; a scope's name hardly ever does.
    const [name, ...words] = pair.split('=')
    scopes.set(name ?? '', { text: words.join('=') })
  }
  for (const pair of options.risk ?? []) {
    const [name, risk] = splitPair(pair, '"scope=risk"')
    const scope = scopes.get(name)
    if (!scope) throw new OperatorFault(`--risk names ${name}, which no --scope names.`, 'Nothing was changed.')
    scopes.set(name, { ...scope, risk })
  }
  return { id, name: options.name, tokens: { format, sign, lifetime }, scopes: Object.fromEntries(scopes) }
}

// A fault below `tokens` is one of the option with the same name.
function tokenFlag<F extends { path: readonly (string | number)[] }>(fault: F): F {
  return fault.path[0] === 'tokens' ? { ...fault, path: [`--${fault.path[1]}`, ...fault.path.slice(2)] } : fault
}

async function unknownResource(rooms: Rooms, id: string): Promise<OperatorFault> {
  return unknownFault(
    'resource',
    id,
    (await rooms.resources.list()).map((resource) => resource.id),
  )
}

function tokensText({ format, sign, lifetime }: Resource): string {
  return `${format}${format === 'jwt' ? ` ${sign}` : ''}, ${formatDuration(lifetime)}`
}

function listText(resources: readonly Resource[]): string {
  if (resources.length === 0) {
    return `No resources yet. Add the first one:\n  ${GATEHOUSE} resource add https://orders.example.com --name Orders\n`
  }
  return formatTable(
    ['ID', 'NAME', 'TOKENS', 'SCOPES'],
    resources.map((resource) => [resource.id, resource.name, tokensText(resource), String(resource.scopes.length)]),
  )
}

function showText(resource: Resource): string {
  const facts = formatFacts([
    ['id', resource.id],
    ['name', resource.name],
    ['tokens', tokensText(resource)],
  ])
  if (resource.scopes.length === 0) return facts
  const scopes = resource.scopes.map(({ name, text, risk, byDefault }) => [name, text, risk, byDefault ? 'yes' : 'no'])
  return `${facts}\n${formatTable(['SCOPE', 'WORDS', 'RISK', 'BY DEFAULT'], scopes)}`
}
