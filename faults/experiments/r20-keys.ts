import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt, decodeProtectedHeader, type JSONWebKeySet } from 'jose'
import type { SigningAlgorithm } from '../../src/signing-keys/key.ts'
import { deriveKeyTimes, scaleKeyTimes } from '../../src/signing-keys/times.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { basic } from '../../test/helpers/flow.ts'
import { createKeyVerifiers, type KeyVerifier } from '../../test/helpers/key-verifiers.ts'
import { type RawAnswer, type ServerProcess, send } from '../../test/helpers/process.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'

// Seconds, before they are divided.
const DIVISOR = 30
const TURN = 300
const LIFETIME = 600
const CACHES = [0, 30, 300]

// As the product derives them, except that a key signs for five minutes and tokens live ten.
const TIMES = scaleKeyTimes(
  deriveKeyTimes({ jwksCache: 300, refetch: 60, clockTolerance: 10, longestUse: LIFETIME, period: TURN, look: 6 }),
  DIVISOR,
)
const LOAD_SECONDS = 60
const WORKERS = 4
const EMERGENCIES = 10
const ALGORITHMS: readonly SigningAlgorithm[] = ['ES256', 'RS256']

/** Keys that take turns under load, and keys that must go at once. */
export const r20Keys: Experiment = {
  id: 'R-20',
  title: 'signing keys take turns under load, and go in an emergency',
  size: {
    full: `a turn every ${TURN / DIVISOR} s (times 1:${DIVISOR}) for ${LOAD_SECONDS} s, ${CACHES.length * 3} verifiers that keep keys for ${CACHES.join(', ')} s, then ${EMERGENCIES} emergencies; at 2 and 4 processes`,
  },
  target: 'no false refusal; introspection of every process knows of an emergency within 1 s',

  async run(bench) {
    const installation = await bench.install()
    const { home } = installation
    for (const sign of ALGORITHMS) {
      const scopes = [{ name: 'read', text: 'Read', risk: 'normal', byDefault: true } as const]
      await home.addResource({ id: resourceOf(sign), sign, lifetime: LIFETIME / DIVISOR, scopes })
    }
    const scopes = Object.fromEntries(ALGORITHMS.map((sign) => [resourceOf(sign), ['read']]))
    const client = { id: 'turner', kind: 'service', redirectUris: [], refresh: 'none', scopes } as const
    const headers = basic('turner', await home.addClient(client))
    const misses: string[] = []
    const results: string[] = []
    for (const processes of [2, 4]) {
      const cluster = await installation.start({
        processes,
        program: ['test/helpers/scaled-server.ts'],
        env: { SCALED_KEY_TIMES: JSON.stringify(TIMES) },
      })
      const found: string[] = []
      const service = createService(bench, cluster, headers)
      results.push(`${processes} processes: ${await takeTurns(bench, cluster, service, found)}`)
      results.push(await inEmergencies(installation, cluster, service, found))
      misses.push(...found.map((miss) => `${processes} processes: ${miss}`))
    }
    return { result: results.join('; '), misses }
  },
}

type Service = ReturnType<typeof createService>

/** A service that gets tokens for itself and asks about them. */
function createService({ canaries }: Bench, { issuer }: Cluster, credentials: Record<string, string>) {
  const headers = { ...credentials, host: new URL(issuer).host }
  const ask = async (node: ServerProcess, path: string, form: Record<string, string>): Promise<RawAnswer> => {
    const answer = await send(node.port, path, { form, headers })
    canaries.learn({ form, headers }, answer)
    return answer
  }
  return {
    async token(node: ServerProcess, alg: SigningAlgorithm): Promise<string> {
      const form = { grant_type: 'client_credentials', resource: resourceOf(alg) }
      const { status, body, text } = await ask(node, '/token', form)
      if (status !== 200) throw new Error(`no token: ${status} ${text}`)
      return String(body.access_token)
    },
    isActive: async (node: ServerProcess, token: string) => (await ask(node, '/introspect', { token })).body.active,
    async keys(node: ServerProcess): Promise<JSONWebKeySet> {
      const { body } = await send(node.port, '/jwks', { headers: { host: headers.host } })
      return body as unknown as JSONWebKeySet
    },
  }
}

/** Every token is shown to all verifiers when it is new, and again at some moment of its life. @returns figures */
async function takeTurns(bench: Bench, cluster: Cluster, service: Service, misses: string[]): Promise<string> {
  const node = () => cluster.nodes[Math.floor(Math.random() * cluster.nodes.length)]!
  const verifiers = createKeyVerifiers({
    issuer: cluster.issuer,
    fetchKeys: () => service.keys(node()),
    caches: CACHES.map((seconds) => seconds * 1000),
    divisor: DIVISOR,
  })
  const signed = new Set<string>()
  const refused = new Map<string, number>()
  const tokens: string[] = []
  let checks = 0
  const check = async (token: string) => {
    const note = ({ name }: Pick<KeyVerifier, 'name'>, why: unknown) => {
      const miss = `${name} refuses a good token: ${why}`
      refused.set(miss, (refused.get(miss) ?? 0) + 1)
    }
    await Promise.all(
      verifiers.map(async (verifier) => {
        const why = await verifier.refusal(token)
        if (why !== undefined) note(verifier, why)
      }),
    )
    if (!(await service.isActive(node(), token))) note({ name: 'introspection' }, 'inactive')
    checks += verifiers.length + 1
  }
  const isYoung = (token: string) => decodeJwt(token).exp! * 1000 > Date.now() + 1000
  // Keys that were just published wait for their first turn.
  const end = Date.now() + TIMES.published + LOAD_SECONDS * 1000
  const work = async () => {
    while (Date.now() < end) {
      const token = await service.token(node(), ALGORITHMS[tokens.length % ALGORITHMS.length]!)
      signed.add(String(decodeProtectedHeader(token).kid))
      tokens.push(token)
      await check(token)
      const old = tokens[Math.floor(Math.random() * tokens.length)]!
      if (isYoung(old)) await check(old)
      await sleep(20)
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  misses.push(...[...refused].map(([miss, times]) => `${times} × ${miss}`))
  const turns = signed.size - ALGORITHMS.length
  const least = (ALGORITHMS.length * LOAD_SECONDS) / (TURN / DIVISOR) / 2
  if (turns < least) misses.push(`only ${turns} turns: nothing was shown`)
  bench.say(`${cluster.nodes.length} processes: ${turns} turns`)
  return `${turns} turns, ${tokens.length} tokens, ${checks} checks, ${refused.size} kinds of refusal`
}

/** @returns figures */
async function inEmergencies(
  { home, database }: Installation,
  { nodes }: Cluster,
  service: Service,
  misses: string[],
): Promise<string> {
  const { rotation, records } = home.rooms.signingKeys
  const pool = database.pool({ max: 1 })
  const worst = { seen: 0, signed: 0 }
  for (let round = 0; round < EMERGENCIES; round++) {
    const alg = ALGORITHMS[round % ALGORITHMS.length]!
    const token = await service.token(nodes[round % nodes.length]!, alg)
    const { kid } = decodeProtectedHeader(token)
    const before = await Promise.all(nodes.map((node) => service.isActive(node, token)))
    if (!before.every(Boolean)) misses.push('a good token is inactive before the emergency')
    // In every other round nobody hears of the change.
    if (round % 4 > 1) {
      await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'gatehouse live'`)
    }
    const begun = performance.now()
    const until = async (isOver: (node: ServerProcess) => Promise<boolean>) => {
      const each = nodes.map(async (node) => {
        while (!(await isOver(node)) && performance.now() - begun < 10_000) await sleep(5)
        return performance.now() - begun
      })
      return Math.max(...(await Promise.all(each)))
    }
    const [retired, seen, signed] = await Promise.all([
      rotation.retire(String(kid), true, 'operator'),
      until(async (node) => !(await service.isActive(node, token))),
      until(async (node) => {
        const published = (await service.keys(node)).keys.some((key) => key.kid === kid)
        return !published && decodeProtectedHeader(await service.token(node, alg)).kid !== kid
      }),
    ])
    worst.seen = Math.max(worst.seen, seen)
    worst.signed = Math.max(worst.signed, signed)
    if (!retired.ok) misses.push(`the key was not taken away: ${retired.reason}`)
    if ((await records()).some((key) => key.kid === kid && key.state !== 'gone')) misses.push('a key is not gone')
  }
  for (const milliseconds of [worst.seen, worst.signed]) {
    if (milliseconds > 1000) misses.push(`a process knew of an emergency only after ${Math.round(milliseconds)} ms`)
  }
  return `emergencies seen by introspection after ${Math.round(worst.seen)} ms at most, by all after ${Math.round(worst.signed)} ms`
}

function resourceOf(alg: SigningAlgorithm): string {
  return `https://${alg.toLowerCase()}.example.com`
}
