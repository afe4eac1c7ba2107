// keys list, rotate, retire.
import { type Command, Option } from 'commander'
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from '../signing-keys/key.ts'
import type { Retired, Rotated } from '../signing-keys/rotate.ts'
import { OperatorFault } from '../vocabulary/fault.ts'
import { answer, confirm, examples, GATEHOUSE, OPERATOR, unknownFault } from './command.ts'
import type { Output } from './output.ts'
import type { ListedKey, WithRooms } from './rooms.ts'
import { formatTable, formatTime } from './table.ts'

/** Adds the `keys` commands. */
export function addKeysCommands(
  program: Command,
  { withRooms, output }: { withRooms: WithRooms; output: Output },
): void {
  const group = program.command('keys').description('keys that sign tokens')

  group
    .command('list')
    .description('list the signing keys, their states, and what comes next')
    .option('--all', 'also those that are gone')
    .addHelpText('after', examples('keys list', 'keys list --all --json'))
    .action((options: { all?: boolean }, command: Command) =>
      withRooms(async (rooms) => {
        const keys = (await rooms.signingKeys.list()).filter(({ state }) => options.all || state !== 'gone')
        const now = rooms.now()
        answer(output, command, { keys: keys.map((key) => describe(key, now)) }, listText(keys, now))
      }),
    )

  group
    .command('rotate')
    .description('let the next key sign from now on; the one before stays published until its tokens have expired')
    .addOption(new Option('--alg <algorithm>', 'only the key of this algorithm').choices(SIGNING_ALGORITHMS))
    .addHelpText('after', examples('keys rotate', 'keys rotate --alg RS256'))
    .action((options: { alg?: SigningAlgorithm }, command: Command) =>
      withRooms(async (rooms) => {
        const rotated = await rooms.signingKeys.rotate(options.alg ? [options.alg] : SIGNING_ALGORITHMS, OPERATOR)
        if (!rotated.ok) throw tooEarly(rotated.waiting)
        const steps = rotated.steps.filter(({ step }) => step === 'activated')
        const text = steps.map(({ alg, kid }) => `${kid} signs with ${alg} from now on.\n`).join('')
        answer(output, command, { steps: rotated.steps }, text)
      }),
    )

  group
    .command('retire')
    .description('take a key away: one that signs no more, when its time is over; with --emergency any one, at once')
    .argument('<kid>', 'the key, as "keys list" shows it')
    .option('--emergency', 'the key is in wrong hands: all that it signed ends now, and the next key signs')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('keys retire KID', 'keys retire KID --emergency --yes'))
    .action((kid: string, options: { emergency?: boolean; yes?: boolean }, command: Command) =>
      withRooms(async (rooms) => {
        const keys = await rooms.signingKeys.list()
        const known = keys.map((key) => key.kid)
        if (!known.includes(kid)) throw unknownFault('key', kid, known, 'keys')
        const emergency = options.emergency === true
        if (emergency) await confirm(output, `Take ${kid} away now, and end everything that it signed?`, options.yes)
        const retired = await rooms.signingKeys.retire(kid, emergency, OPERATOR)
        if (!retired.ok) throw refusedRetirement(kid, retired)
        const { alg, successor } = retired
        const json = { kid, alg, state: 'gone', ...(successor && { successor }) }
        answer(output, command, json, goneText(kid, emergency, retired))
      }),
    )
}

function goneText(kid: string, emergency: boolean, { alg, successor }: Extract<Retired, { ok: true }>): string {
  const lines = [`${kid} is gone.`]
  if (successor) lines.push(`${successor} signs with ${alg} from now on.`)
  if (emergency) {
    lines.push('Introspection refuses its tokens. APIs that verify by themselves do when they next fetch the key set.')
  }
  return `${lines.join('\n')}\n`
}

function tooEarly(waiting: Extract<Rotated, { ok: false }>['waiting']): OperatorFault {
  const lines = waiting.map(({ alg, kid, from }) => `  ${alg} ${kid} may sign from ${formatTime(from, true)}`)
  return new OperatorFault(
    ['Others may still hold a key set without the next key:', ...lines].join('\n'),
    'Try again then. Nothing was activated.',
  )
}

function refusedRetirement(kid: string, refused: Extract<Retired, { ok: false }>): OperatorFault {
  switch (refused.reason) {
    case 'unknown':
    case 'gone':
      return new OperatorFault(`${kid} is gone already.`, 'Nothing was changed.')
    case 'signs':
      return new OperatorFault(
        `${kid} signs tokens.`,
        `"${GATEHOUSE} keys rotate" lets the next key sign; --emergency takes this one away at once. Nothing was changed.`,
      )
    case 'stands-by':
      return new OperatorFault(
        `${kid} is published to sign next, and has signed nothing yet.`,
        '--emergency takes it away all the same; another one is made. Nothing was changed.',
      )
    case 'too-early':
      return new OperatorFault(
        `What ${kid} signed may be presented until ${formatTime(refused.from, true)}.`,
        'Later it goes by itself; --emergency takes it away at once. Nothing was changed.',
      )
    case 'last':
      return new OperatorFault(
        `${kid} is the last key of an algorithm in use, and none is published that could follow it.`,
        `"${GATEHOUSE} keys rotate" publishes one; then try again. Nothing was changed.`,
      )
  }
}

// Named one by one: nothing else of a key is for a terminal.
function describe(key: ListedKey, now: Date): Record<string, unknown> {
  return {
    kid: key.kid,
    alg: key.alg,
    state: key.state,
    created_at: key.createdAt,
    published_at: key.publishedAt,
    activated_at: key.activatedAt,
    retired_at: key.retiredAt,
    gone_at: key.goneAt,
    age_seconds: Math.floor((now.getTime() - key.createdAt.getTime()) / 1000),
    next_step: key.next && { step: key.next.step, at: key.next.at },
  }
}

function listText(keys: readonly ListedKey[], now: Date): string {
  if (keys.length === 0) return 'No keys yet. The first start makes them.\n'
  return formatTable(
    ['KID', 'ALG', 'STATE', 'AGE', 'NEXT'],
    keys.map((key) => [key.kid, key.alg, key.state, ageText(key, now), nextText(key)]),
  )
}

function ageText({ createdAt }: ListedKey, now: Date): string {
  const minutes = Math.floor((now.getTime() - createdAt.getTime()) / 60_000)
  if (minutes < 120) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`
}

const STEPS = { activate: 'signs after', retire: 'signs until', remove: 'goes after' } as const

function nextText({ next }: ListedKey): string {
  return next ? `${STEPS[next.step]} ${formatTime(next.at)}` : '-'
}
