// client rotate-secret, secrets, revoke-secret.
import type { Command } from 'commander'
import { MOST_SECRETS, type RotationWishes } from '../clients/register.ts'
import type { ClientSecretRow } from '../clients/secret-store.ts'
import { isLive } from '../clients/secrets.ts'
import { plainTextFault } from '../http/plain-text-fault.ts'
import { parseDuration } from '../vocabulary/duration.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { answer, confirm, examples, GATEHOUSE, OPERATOR } from './command.ts'
import { findClient, unknownClient } from './find.ts'
import type { Output } from './output.ts'
import type { Rooms, WithRooms } from './rooms.ts'
import { secretsOf, secretText } from './secret-text.ts'
import { formatTable, formatTime } from './table.ts'

const LONGEST_NAME = 100

interface RotateOptions {
  readonly overlap?: string
  readonly name?: string
  readonly expires?: string
}

/** Adds the commands about secrets to the `client` commands. */
export function addClientSecretCommands(
  group: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  group
    .command('rotate-secret')
    .description('make a new secret and print it once; the old ones stop working at once, or after an overlap')
    .argument('<id>', 'the client_id')
    .option('--overlap <duration>', 'how long the old secrets still work: 10m, 1h, 7d')
    .option('--name <text>', 'by which you tell it from other secrets')
    .option('--expires <duration>', 'after which the new secret stops working: 90d')
    .addHelpText('after', examples('client rotate-secret billing', 'client rotate-secret billing --overlap 1h'))
    .action((id: string, options: RotateOptions, command: Command) => {
      const wishes = readWishes(options)
      return withRooms(async (rooms) => {
        const rotated = await rooms.clients.rotateSecret(id, OPERATOR, wishes)
        if (!rotated.ok) throw await rotationFault(rooms, id, rotated.reason)
        const { secret, row, oldEnd } = rotated
        const value = { clients: secretsOf(id, secret), secret: describeSecret(row), old_secrets_end: oldEnd }
        const old = wishes.overlap
          ? `the old ones work until ${formatTime(oldEnd)}, or their own earlier end`
          : 'the old one no longer works'
        const ends = row.expiresAt ? `It ends at ${formatTime(row.expiresAt)}.\n` : ''
        answer(output, command, value, `${id} has a new secret; ${old}.\n${ends}${secretText(secret)}`)
      })
    })

  group
    .command('secrets')
    .description('list the secrets of a client: names, ends, last uses; nobody can see a secret itself again')
    .argument('<id>', 'the client_id')
    .addHelpText('after', examples('client secrets billing'))
    .action((id: string, _options: object, command: Command) =>
      withRooms(async (rooms) => {
        await findClient(rooms, id)
        const secrets = await rooms.clients.listSecrets(id)
        answer(output, command, { secrets: secrets.map(describeSecret) }, listText(id, secrets, rooms.now()))
      }),
    )

  group
    .command('revoke-secret')
    .description('end one secret of a client at once')
    .argument('<id>', 'the client_id')
    .argument('<secret-id>', 'as "client secrets" lists it')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('client revoke-secret billing 0b9c2f5e-6a64-4ac4-9d0c-8d6d2b7c6c1e'))
    .action((id: string, secretId: string, options: { yes?: boolean }, command: Command) =>
      withRooms(async (rooms) => {
        await findClient(rooms, id)
        const now = rooms.now()
        const secrets = await rooms.clients.listSecrets(id)
        const others = secrets.filter((secret) => secret.id !== secretId && isLive(secret, now))
        if (others.length === 0 && secrets.some((secret) => secret.id === secretId))
          await confirm(output, `This is the last secret of ${id}, which is then locked out. Go on?`, options.yes)
        const revoked = await rooms.clients.revokeSecret(id, secretId, OPERATOR)
        if (revoked === 'unknown') throw await unknownClient(rooms, id)
        if (revoked === 'unknown-secret') {
          throw new OperatorFault(
            `${id} has no secret ${JSON.stringify(secretId)}.`,
            `"${GATEHOUSE} client secrets ${id}" lists those that it has. Nothing was changed.`,
          )
        }
        answer(output, command, { id, secret: secretId, revoked: true }, `The secret no longer works.\n`)
      }),
    )
}

/** @returns a secret as JSON answers spell it: never the secret itself */
export function describeSecret(secret: ClientSecretRow): Record<string, unknown> {
  return {
    id: secret.id,
    name: secret.name,
    created_at: secret.createdAt,
    expires_at: secret.expiresAt,
    last_used_at: secret.lastUsedAt,
  }
}

/** @returns how many secrets work, and when the next of them ends; undefined when there is none */
export function countSecrets(secrets: readonly ClientSecretRow[], now: Date): string | undefined {
  const live = secrets.filter((secret) => isLive(secret, now))
  if (live.length === 0) return secrets.length > 0 ? 'none that still works' : undefined
  const ends = live.flatMap(({ expiresAt }) => (expiresAt ? [expiresAt] : [])).sort((a, b) => a.getTime() - b.getTime())
  return `${live.length} in use${ends[0] ? `, the next one ends ${formatTime(ends[0])}` : ''}`
}

function readWishes({ name, overlap, expires }: RotateOptions): RotationWishes {
  const fault = name === undefined ? undefined : plainTextFault(name, LONGEST_NAME)
  if (fault) throw usage(`--name ${fault}.`)
  return { name, overlap: readDuration('--overlap', overlap), lifetime: readDuration('--expires', expires) }
}

function readDuration(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = parseDuration(text)
  if (seconds === undefined) throw usage(`${flag} must be a whole number and a unit: 90s, 10m, 12h, 30d.`)
  return seconds
}

function usage(message: string): OperatorFault {
  return new OperatorFault(message, 'Mend the command. Nothing was changed.', { exitCode: 2 })
}

async function rotationFault(
  rooms: Rooms,
  id: string,
  reason: 'unknown' | 'no-secret' | 'too-many',
): Promise<OperatorFault> {
  switch (reason) {
    case 'unknown':
      return unknownClient(rooms, id)
    case 'no-secret':
      return new OperatorFault(
        `${id} has no secret: it does not authenticate with one.`,
        `"${GATEHOUSE} client show ${id}" tells how it does. Nothing was changed.`,
      )
    case 'too-many':
      return new OperatorFault(
        `${id} has ${MOST_SECRETS} secrets that still work; more are not kept.`,
        `Rotate without --overlap, or end one with "${GATEHOUSE} client revoke-secret". Nothing was changed.`,
      )
  }
}

function listText(id: string, secrets: readonly ClientSecretRow[], now: Date): string {
  if (secrets.length === 0) return `${id} has no secret.\n`
  const rows = secrets.map((secret) => [
    secret.id,
    secret.name ?? '-',
    formatTime(secret.createdAt),
    secret.expiresAt ? `${isLive(secret, now) ? '' : 'ended '}${formatTime(secret.expiresAt)}` : 'never',
    secret.lastUsedAt ? formatTime(secret.lastUsedAt) : 'not yet',
  ])
  return formatTable(['ID', 'NAME', 'MADE', 'ENDS', 'LAST USED'], rows)
}
