// What a start says: where everything is, how the first administrator gets in, what to try next. The page at `/` says the same.
import type { Config } from '../config.ts'
import type { Pages } from '../http/views.ts'
import type { OpenDatabase } from '../open-database.ts'
import { DEMO_ROUTES, demoAudience } from '../tour/demo-api.ts'
import type { Rooms } from '../wire.ts'

// `help` is a word, because npx keeps a flag that directly follows the program's name for itself.
const COMMANDS = [
  { command: 'npx --no gatehouse try m2m', what: 'a service gets a token and calls the demo API' },
  { command: 'npx --no gatehouse try login', what: 'a person signs in, consents, and an app calls the demo API' },
  { command: 'npx --no gatehouse help', what: 'every command' },
]

/** Prints the announcement of a start. */
export async function announce({
  config,
  rooms,
  opened,
  demo,
  say,
  terminal,
  version,
}: {
  config: Config
  rooms: Rooms
  opened: OpenDatabase
  demo: boolean
  say: (line: string) => void
  terminal: boolean
  version: string
}): Promise<void> {
  say('')
  say(`Gatehouse ${version} is ready at ${config.issuer}`)
  say('')
  say(`  Metadata    ${config.issuer}/.well-known/openid-configuration`)
  if (demo) say(`  Demo API    http://localhost:${config.gatewayPort}/orders, behind the local gateway`)
  say(`  Database    ${opened.embedded ? `embedded PostgreSQL, data in ${opened.place}` : opened.place}`)
  if (opened.embedded && config.secrets.length === 0) {
    say(`  Secret      ${config.dataDir}/secret.key (whoever copies it together with the data can open everything)`)
  }
  // The link makes an administrator: only a person at the terminal or on this very machine may see it.
  if (!(await rooms.accounts.hasAdmin()) && (terminal || opened.embedded)) {
    const { token } = await rooms.accounts.makeAdminLink('operator')
    say('')
    say('  Make the first administrator (once, within the hour):')
    say(`  ${config.issuer}/admin/setup?token=${token}`)
  }
  say('')
  say('  Try, in another terminal:')
  for (const { command, what } of demo ? COMMANDS : COMMANDS.slice(-1)) say(`  ${command.padEnd(30)} ${what}`)
  say('')
}

/** @returns what the page at `/` shows */
export async function describeLanding({
  config,
  rooms,
  demo,
  version,
}: {
  config: Config
  rooms: Rooms
  demo: boolean
  version: string
}): Promise<Pages['landing']> {
  const url = (label: string, path: string) => ({ label, url: `${config.issuer}${path}` })
  return {
    issuer: config.issuer,
    version,
    urls: [
      url('Metadata', '/.well-known/openid-configuration'),
      url('Signing keys', '/jwks'),
      url('Authorization endpoint', '/authorize'),
      url('Token endpoint', '/token'),
      url('Introspection endpoint', '/introspect'),
      url('Revocation endpoint', '/revoke'),
    ],
    commands: demo ? COMMANDS : COMMANDS.slice(-1),
    demo: demo ? { gateway: `http://localhost:${config.gatewayPort}`, routes: demoRoutes(config.issuer) } : undefined,
    adminConfigured: await rooms.accounts.hasAdmin(),
  }
}

function demoRoutes(issuer: string): { route: string; needs: string }[] {
  return DEMO_ROUTES.map(({ name, rule }) => ({
    route: name,
    needs: rule === 'public' ? 'nothing' : `${rule.join(' ')} of ${demoAudience(issuer)}`,
  }))
}
