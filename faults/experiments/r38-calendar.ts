import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import pg from 'pg'
import type { Browser } from '../../test/helpers/browser.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { authorizeUrl, introspect, obtainCode, pkce, post, redeem, refresh } from '../../test/helpers/flow.ts'
import { runCommand } from '../../test/helpers/process.ts'
import { ORDERS, TEST_SECRET, THINGS } from '../../test/helpers/server.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'
import { type Breakable, installBreakable } from '../outage.ts'
import { makeTurnedClock, type TurnedClock } from '../turned-clock.ts'

/** Milliseconds in which a process hears of the database's time. */
const HEARD = 1200
/** Seconds by which a time may be off, because things take time. */
const NEARLY = 15
const [MINUTE, HOUR, DAY] = [60, 3600, 24 * 3600]
const APP = { id: 'spa' }
/** stays connected when its session ends */
const PHONE = { id: 'phone' }

/** `zone` is that of the server and the database, in which the moment is one at which clocks are changed or dates turn. */
const MOMENTS = [
  { what: 'summer time begins', at: '2027-03-28T01:00:00Z', zone: 'Europe/Berlin' },
  { what: 'summer time begins, by half an hour', at: '2027-10-02T15:30:00Z', zone: 'Australia/Lord_Howe' },
  { what: 'summer time ends', at: '2027-10-31T01:00:00Z', zone: 'Europe/Berlin' },
  { what: 'a year ends', at: '2028-01-01T00:00:00Z', zone: 'UTC' },
  { what: 'a year ends', at: '2028-01-01T05:00:00Z', zone: 'America/New_York' },
  { what: '31 bits of seconds end', at: '2038-01-19T03:14:08Z', zone: 'UTC' },
  { what: 'a leap day begins', at: '2040-02-28T18:15:00Z', zone: 'Asia/Kathmandu' },
  { what: 'a leap day ends', at: '2040-03-01T00:00:00Z', zone: 'UTC' },
  { what: 'there is no leap day', at: '2100-03-01T00:00:00Z', zone: 'UTC' },
  { what: '32 bits of seconds end', at: '2106-02-07T06:28:16Z', zone: 'Pacific/Auckland' },
] as const

/** Servers and PostgreSQL pass a moment of the calendar in the middle of a sign-in; afterwards all ends come when they are due. */
export const r38Calendar: Experiment = {
  id: 'R-38',
  title: 'the calendar: summer time, ends of years, leap days, 2038 and later',
  size: {
    full: `${MOMENTS.length} moments, 5 time zones; 1 process and PostgreSQL; each life until just before and just after its end`,
  },
  target: 'every end that is stored, signed, answered or set as a cookie is the right one, and holds to the second',
  needs: ['faketime'],

  async run(bench) {
    const misses: string[] = []
    const clock = makeTurnedClock(bench.folder, 'all')
    const breakable = await installBreakable(bench, {}, { env: clock.env })
    await breakable.installation.home.addClient({
      id: PHONE.id,
      kind: 'native',
      authMethod: 'none',
      firstParty: true,
      refresh: 'offline',
      scopes: { [THINGS]: ['things:read'] },
    })
    await breakable.installation.database.pool().query('update resources set lifetime_seconds = $1', [10 * MINUTE])
    for (const moment of MOMENTS) {
      const what = `${moment.at} ${moment.zone}`
      const found: string[] = []
      await pass(bench, breakable, clock, moment, found).catch((error: Error) =>
        found.push(error.stack ?? error.message),
      )
      bench.say(`${what}, ${moment.what}: ${found.length} misses`)
      misses.push(...found.map((miss) => `${what}: ${miss}`))
    }
    return { result: `${MOMENTS.length} moments passed`, misses }
  },
}

interface Scene {
  readonly installation: Installation
  readonly cluster: Cluster
  readonly clock: { now(): number; advance(seconds: number): Promise<void> }
  readonly found: string[]
}

async function pass(
  bench: Bench,
  { host, installation }: Breakable,
  clock: TurnedClock,
  { at, zone }: (typeof MOMENTS)[number],
  found: string[],
): Promise<void> {
  const moment = Date.parse(at)
  let ahead = 0
  const turnTo = (time: number) => {
    ahead = Math.round((time - Date.now()) / 1000)
    clock.turn(ahead)
  }
  turnTo(moment - MINUTE * 1000)
  await host.node.query(`alter system set timezone = '${zone}'`, 'select pg_reload_conf()')
  const env = { ...clock.env, TZ: zone }
  const cluster = await installation.start({ processes: 1, warm: 5, env })
  const scene: Scene = {
    installation,
    cluster,
    found,
    clock: {
      now: () => Date.now() / 1000 + ahead,
      async advance(seconds) {
        ahead += seconds
        clock.turn(ahead)
        await sleep(HEARD)
      },
    },
  }
  turnTo(moment - 3000)
  await sleep(HEARD)
  const browser = cluster.browser(0)
  const got = await obtainCode(cluster, APP.id, { scope: 'openid things:read', max_age: `${DAY}` }, browser)
  if (scene.clock.now() * 1000 >= moment) bench.say('  the sign-in came too late to pass the moment')
  await sleep(Math.max(0, moment + 1000 - scene.clock.now() * 1000))
  await checkPassed(scene, browser, got)
  await checkRows(scene)
  await checkCommand(scene, env)
  await checkEnds(scene, browser)
}

/** What was begun before the moment, and is finished after it. */
async function checkPassed(
  { installation, cluster, clock, found }: Scene,
  browser: Browser,
  got: { code: string; verifier: string },
): Promise<void> {
  const near = (what: string, seconds: unknown, expected: number) => {
    const off = Number(seconds) - expected
    if (!(Math.abs(off) <= NEARLY)) found.push(`${what} is ${seconds}, ${off} s off`)
  }
  const exactly = (what: string, seconds: number, expected: number) => {
    if (seconds !== expected) found.push(`${what} is ${seconds} s, not ${expected}`)
  }
  const { status, body } = await redeem(cluster, APP, got)
  if (status !== 200) return void found.push(`a code is refused: ${status} ${body.error_description}`)
  exactly('expires_in', Number(body.expires_in), 10 * MINUTE)
  const id = decodeJwt(body.id_token)
  near('iat of the ID token', id.iat, clock.now())
  near('auth_time', id.auth_time, clock.now())
  exactly('the life of the ID token', id.exp! - id.iat!, HOUR)
  const opaque = await introspect(cluster, installation.api, body.access_token)
  if (opaque.active !== true) found.push('an opaque token is dead')
  near('iat of the opaque token', opaque.iat, clock.now())
  exactly('the life of the opaque token', Number(opaque.exp) - Number(opaque.iat), 10 * MINUTE)
  const billing = { id: 'billing', secret: installation.cast.billing }
  const issued = await post(cluster, '/token', { grant_type: 'client_credentials', resource: ORDERS }, billing)
  const jwt = decodeJwt(issued.body.access_token)
  near('iat of the JWT', jwt.iat, clock.now())
  exactly('the life of the JWT', jwt.exp! - jwt.iat!, 10 * MINUTE)
  if ((await introspect(cluster, installation.api, issued.body.access_token)).active !== true)
    found.push('a JWT is dead')
  if ((await refresh(cluster, APP, body.refresh_token)).status !== 200) found.push('a refresh is refused')
  const cookies = await browser.jar.getCookies(cluster.issuer)
  const expires = cookies.find(({ key }) => key === 'gatehouse-session')?.expires
  near(
    'the end of the session cookie',
    expires instanceof Date ? expires.getTime() / 1000 : expires,
    clock.now() + 12 * HOUR,
  )
}

/** The end of what was made just now, by the database's own arithmetic. */
async function checkRows({ installation, found }: Scene): Promise<void> {
  const client = new pg.Client(installation.database.connection)
  await client.connect()
  try {
    for (const [table, column, life] of [
      ['sessions', 'expires_at', 12 * HOUR],
      ['grants', 'expires_at', 100 * DAY],
      ['refresh_families', 'expires_at', 30 * DAY],
      ['refresh_families', 'absolute_expires_at', 90 * DAY],
      ['access_tokens', 'expires_at', 10 * MINUTE],
      ['authorization_codes', 'expires_at', MINUTE],
    ] as const) {
      // Others may be there that were made before the clock was turned back to this moment.
      const off = `abs(extract(epoch from ${column} - now()) - ${life})`
      const { rows } = await client.query(`select min(${off})::float8 as off from ${table}`)
      if (!(rows[0].off <= NEARLY)) found.push(`${column} of ${table} is ${rows[0].off} s off`)
    }
  } finally {
    await client.end()
  }
}

async function checkCommand({ installation, clock, found }: Scene, env: Record<string, string>): Promise<void> {
  const settings = {
    ...env,
    GATEHOUSE_ISSUER: installation.issuer,
    DATABASE_URL: installation.database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
  }
  const { code, json, err } = await runCommand(settings, ['user', 'admin-link', '--json'])
  if (code !== 0) return void found.push(`a command fails: ${err}`)
  const off = Date.parse(json.expires_at) / 1000 - clock.now() - HOUR
  if (!(Math.abs(off) <= NEARLY)) found.push(`a link ends at ${json.expires_at}, ${off} s off`)
}

/** Each life, just before its end and just after it. */
async function checkEnds({ installation, cluster, clock, found }: Scene, signedIn: Browser): Promise<void> {
  const scope = { scope: 'openid things:read' }
  const isSignedIn = async () => {
    const page = await signedIn.open(authorizeUrl(cluster, APP.id, pkce().challenge, { ...scope, prompt: 'none' }))
    return page.url.searchParams.has('code')
  }
  const check = (what: string, is: boolean, expected: boolean) => {
    if (is !== expected) found.push(`${what} is ${is ? 'alive after' : 'dead before'} its end`)
  }
  const made = clock.now()
  const [early, late, used] = [
    await obtainCode(cluster, APP.id, scope, signedIn),
    await obtainCode(cluster, APP.id, scope, signedIn),
    await obtainCode(cluster, PHONE.id, scope, signedIn),
  ]
  const { body } = await redeem(cluster, PHONE, used)
  const isActive = async () => (await introspect(cluster, installation.api, body.access_token)).active === true
  const seen = clock.now()
  const until = (seconds: number) => clock.advance(Math.round(seconds - clock.now()))

  await until(made + MINUTE - 8)
  check('a code', (await redeem(cluster, APP, early)).status === 200, true)
  await until(seen + MINUTE + 1)
  check('a code', (await redeem(cluster, APP, late)).status === 200, false)
  await until(made + 10 * MINUTE - 8)
  check('an access token', await isActive(), true)
  await until(seen + 10 * MINUTE + 1)
  check('an access token', await isActive(), false)
  // Each look prolongs it.
  await until(seen + 12 * HOUR - 8)
  check('a session', await isSignedIn(), true)
  await clock.advance(12 * HOUR + 1)
  check('a session', await isSignedIn(), false)
  await until(made + 30 * DAY - 8)
  const again = await refresh(cluster, PHONE, body.refresh_token)
  check('a refresh token', again.status === 200, true)
  await clock.advance(30 * DAY + 1)
  check('a refresh token', (await refresh(cluster, PHONE, again.body.refresh_token)).status === 200, false)
}
