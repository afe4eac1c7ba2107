// client add: a client from options, under the same rules as in a document.
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { referenceFaults } from '../apply/references.ts'
import { AUTH_METHODS, CLIENT_KINDS, type ClientFields, DPOP_POLICIES } from '../clients/client.ts'
import { readClientFields, writeClientFields } from '../clients/fields.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { answer, collect, examples, fieldsFault, GATEHOUSE, OPERATOR, splitPair } from './command.ts'
import type { Output } from './output.ts'
import type { Rooms, WithRooms } from './rooms.ts'
import { secretsOf, secretText } from './secret-text.ts'

const FLAGS: Readonly<Record<string, string>> = {
  id: 'ID',
  name: '--name',
  kind: '--kind',
  auth: '--auth',
  first_party: '--first-party',
  redirect_uris: '--redirect-uri',
  post_logout_redirect_uris: '--post-logout-redirect-uri',
  response_modes: '--response-mode',
  refresh: '--refresh',
  require_par: '--require-par',
  dpop: '--dpop',
  scopes: '--scope',
  serves: '--serves',
  jwks: '--jwks',
  jwks_uri: '--jwks-uri',
}

interface AddOptions {
  readonly name: string
  readonly kind: string
  readonly auth?: string
  readonly firstParty?: boolean
  readonly redirectUri?: readonly string[]
  readonly postLogoutRedirectUri?: readonly string[]
  readonly responseMode?: readonly string[]
  readonly refresh?: string
  readonly requirePar?: boolean
  readonly dpop?: string
  readonly scope?: readonly string[]
  readonly serves?: readonly string[]
  readonly jwks?: string
  readonly jwksUri?: string
}

/** Adds the `add` command to the `client` commands. */
export function addClientAdd(group: Command, { withRooms, output }: { withRooms: WithRooms; output: Output }): void {
  group
    .command('add')
    .description('add a client and print its secret once')
    .argument('<id>', 'the client_id')
    .requiredOption('--name <text>', 'what people see')
    .requiredOption('--kind <kind>', CLIENT_KINDS.join(', '))
    .option('--redirect-uri <uri>', 'where people return to (may be repeated)', collect)
    .option('--post-logout-redirect-uri <uri>', 'where people may go after signing out (may be repeated)', collect)
    .option(
      '--scope <resource=scopes>',
      'what it may ask for, as "https://orders.example.com=orders:read orders:write"',
      collect,
    )
    .option('--serves <resource>', 'a resource whose tokens it may introspect (may be repeated)', collect)
    .option('--auth <method>', AUTH_METHODS.join(', '))
    .option('--refresh <policy>', 'none, session, offline')
    .option('--require-par', 'take authorization requests only when they were pushed')
    .option('--dpop <policy>', DPOP_POLICIES.join(', '))
    .option('--response-mode <mode>', 'query, fragment, form_post (may be repeated)', collect)
    .option('--first-party', 'skip the consent page')
    .option('--jwks <file>', 'its public keys, a JWK set')
    .option('--jwks-uri <url>', 'where its public keys are')
    .addHelpText(
      'after',
      examples(
        'client add billing --name "Billing" --kind service --scope "https://orders.example.com=orders:read"',
        'client add shop --name "Corner Shop" --kind web --redirect-uri https://shop.example.com/callback',
      ),
    )
    .action(async (id: string, options: AddOptions, command: Command) => {
      const document = await toDocument(id, options)
      await withRooms(async (rooms) => {
        const { client, secret } = await addClient(rooms, document)
        answer(
          output,
          command,
          { client: writeClientFields(client), clients: secretsOf(id, secret) },
          `Added ${id} (${client.kind}).\n${secretText(secret)}`,
        )
      })
    })
}

async function addClient(
  rooms: Rooms,
  document: Record<string, unknown>,
): Promise<{ client: ClientFields; secret?: string }> {
  const reading = readClientFields(document)
  const resources = await rooms.resources.list()
  const known = new Map(resources.map((resource) => [resource.id, resource.scopes.map(({ name }) => name)]))
  const faults = [
    ...(reading.ok ? [] : reading.faults),
    ...referenceFaults(reading.ok ? reading.value : reading.parts, known),
  ]
  if (!reading.ok || faults.length > 0) throw fieldsFault(faults, FLAGS)
  const added = await rooms.clients.add(reading.value, OPERATOR)
  if (added.ok) return { client: reading.value, secret: added.secret }
  throw new OperatorFault(
    `There is a client ${JSON.stringify(reading.value.id)} already.`,
    `"${GATEHOUSE} client show ${reading.value.id}" shows it; "${GATEHOUSE} apply FILE" changes it. Nothing was changed.`,
  )
}

async function toDocument(id: string, options: AddOptions): Promise<Record<string, unknown>> {
  const scopes = new Map<string, readonly string[]>()
  for (const pair of options.scope ?? []) {
    const [resource, names] = splitPair(pair, '"resource=scope scope"')
    scopes.set(resource, [...(scopes.get(resource) ?? []), ...names.split(/[ ,]+/).filter((name) => name !== '')])
  }
  const document = {
    id,
    name: options.name,
    kind: options.kind,
    auth: options.auth,
    first_party: options.firstParty,
    redirect_uris: options.redirectUri,
    post_logout_redirect_uris: options.postLogoutRedirectUri,
    response_modes: options.responseMode,
    refresh: options.refresh,
    require_par: options.requirePar,
    dpop: options.dpop,
    scopes: scopes.size > 0 ? Object.fromEntries(scopes) : undefined,
    serves: options.serves,
    jwks: options.jwks === undefined ? undefined : await readJson(options.jwks),
    jwks_uri: options.jwksUri,
  }
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined))
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message
    throw new OperatorFault(
      `The keys in ${path} cannot be read: ${why}.`,
      'Name a file with a JWK set. Nothing was changed.',
    )
  }
}
