import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import type { Browser } from '../../test/helpers/browser.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { authorizeUrl, basic, obtainCode, pkce } from '../../test/helpers/flow.ts'
import { type RawAnswer, runCommand, send } from '../../test/helpers/process.ts'
import { CALLBACK, ORDERS, TEST_SECRET } from '../../test/helpers/server.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'
import { installBreakable } from '../outage.ts'
import { makeTurnedClock, type TurnedClock } from '../turned-clock.ts'

/** Milliseconds in which every process hears of the database's time. */
const HEARD = 1200
/** Milliseconds in which every sweeper has looked. */
const SWEPT = 13_000
/** Seconds after which a code is dead and a replaced refresh token is old. */
const MINUTE = 71
const TOLERATED = 10
/** Seconds: what is issued outlives the oracle, and is over for whoever believes a clock that is an hour ahead. */
const TOKEN_LIFE = 30 * 60
const THINGS_READ = { scope: 'openid things:read' }

/** seconds by which each clock is ahead */
interface Turn {
  readonly what: string
  readonly one?: number
  readonly two?: number
  readonly database?: number
  /** so long that every sweeper looks meanwhile */
  readonly hold?: boolean
}

const TURNS: readonly Turn[] = [
  { what: 'one node 5 s ahead', one: 5 },
  { what: 'one node 5 s behind', one: -5 },
  { what: 'nodes 10 s apart', one: 5, two: -5 },
  { what: 'one node 60 s ahead', one: 60 },
  { what: 'one node 60 s behind', one: -60 },
  { what: 'one node jumps back 10 min', one: -600 },
  { what: 'one node jumps ahead 1 h', one: 3600, hold: true },
  { what: 'both nodes jump back 10 min', one: -600, two: -600 },
  { what: 'both nodes jump ahead 1 h', one: 3600, two: 3600 },
  { what: 'the database jumps back 10 min', database: -600 },
  { what: 'the database jumps ahead 1 h', database: 3600, hold: true },
  { what: 'everything jumps back 10 min', one: -600, two: -600, database: -600 },
]

/** Clocks of two nodes and of their database are set while they work, and set right again. */
export const r37Clocks: Experiment = {
  id: 'R-37',
  title: 'clocks are wrong, jump, and disagree',
  size: {
    full: `${TURNS.length} ways to be wrong of 2 nodes and their database, from 5 s to 1 h, each set right again`,
  },
  target:
    'what is stored ends by the database clock: no code outlives its minute by 10 s, no life ends early, no expires_in is wrong; 10 s between nodes cost nothing; no 5xx',
  needs: ['faketime'],

  async run(bench) {
    const misses: string[] = []
    const clocks = Object.fromEntries(
      (['one', 'two', 'database'] as const).map((name) => [name, makeTurnedClock(bench.folder, name)]),
    ) as unknown as Clocks
    const { installation } = await installBreakable(bench, {}, { env: clocks.database.env })
    await installation.database.pool().query('update resources set lifetime_seconds = $1', [TOKEN_LIFE])
    const cluster = await installation.start({
      processes: 2,
      warm: 20,
      envOf: (node) => ({ ...(node === 0 ? clocks.one : clocks.two).env }),
    })
    const scene: Scene = { bench, installation, cluster, clocks, misses, answers: 0, again: 0 }
    for (const turn of TURNS) await takeTurn(scene, turn)
    await keepKeys(scene)
    set(clocks, {}, 0)
    await sleep(HEARD)
    const causes = new Set(
      [...cluster.log().matchAll(/"msg":"failed".*|.*"msg":"failed"/g)].map(([line]) => line.slice(0, 600)),
    )
    for (const cause of causes) bench.say(cause)
    return { result: `${TURNS.length} turns, ${scene.answers} answers, ${scene.again} asked again after a 503`, misses }
  },
}

type Clocks = Readonly<Record<'one' | 'two' | 'database', TurnedClock>>

interface Scene {
  readonly bench: Bench
  readonly installation: Installation
  readonly cluster: Cluster
  readonly clocks: Clocks
  readonly misses: string[]
  answers: number
  /** what was a 503, and asked again */
  again: number
}

/** @param passed seconds that go by for everybody */
function set(clocks: Clocks, { one = 0, two = 0, database = 0 }: Omit<Turn, 'what'>, passed: number): void {
  clocks.one.turn(one + passed)
  clocks.two.turn(two + passed)
  clocks.database.turn(database + passed)
}

async function takeTurn(scene: Scene, turn: Turn): Promise<void> {
  const { clocks, misses, bench, cluster, installation } = scene
  const found: string[] = []
  const before = await prepare(scene)
  set(clocks, turn, 0)
  // A node needs no time to get used to its own clock.
  if (turn.database) await sleep(HEARD)
  const early = await redeemAt(scene, 0, before.early)
  // Which moment a jump of the database hits is not known afterwards: a code may be lost by it.
  if (!turn.database && early.status !== 200) found.push(`a code of before is refused: ${early.text}`)
  await walk(scene, turn, found)
  if (turn.hold) await sleep(SWEPT)
  set(clocks, turn, MINUTE)
  await sleep(HEARD)
  const late = await redeemAt(scene, 0, before.late)
  if (late.status !== 400) found.push(`a code outlived its minute: ${late.status}`)
  const old = await refreshAt(scene, 0, before.replaced)
  if (old.status !== 400) found.push(`a replaced refresh token is good after ${MINUTE} s: ${old.status}`)
  set(clocks, {}, 0)
  await sleep(HEARD)
  for (const node of [0, 1]) {
    const { body } = await introspectAt(scene, node, before.token)
    if (body.active !== true) found.push(`set right again, a token of before is dead at node ${node + 1}`)
  }
  const kept = await refreshAt(scene, 1, before.kept)
  if (kept.status !== 200) found.push(`set right again, a refresh token of before is dead: ${kept.text}`)
  else
    installation.ledger.chains.push({
      code: '',
      verifier: '',
      head: text(kept, 'refresh_token'),
      access: [],
      state: 'live',
    })
  installation.ledger.tokens.set(before.token, 'live')
  await walk(scene, { what: turn.what }, found)
  bench.say(`${turn.what}: ${found.length} misses`)
  misses.push(...found.map((miss) => `${turn.what}: ${miss}`))
  const ended = cluster.nodes.filter(({ child }) => child.exitCode !== null)
  if (ended.length > 0) throw new Error(`${turn.what}: a process ended`)
}

/** What is there before the clocks are turned. */
async function prepare(scene: Scene) {
  const browser = scene.cluster.browser(0)
  const codeOf = () => signIn(scene, browser)
  const tokens = await redeemAt(scene, 0, await codeOf())
  const kept = await redeemAt(scene, 1, await codeOf())
  const replaced = text(tokens, 'refresh_token')
  if ((await refreshAt(scene, 1, replaced)).status !== 200) throw new Error('no refresh while all clocks are right')
  return {
    early: await codeOf(),
    late: await codeOf(),
    // Not of the family that ends when its replaced token comes back.
    token: text(kept, 'access_token'),
    replaced,
    kept: text(kept, 'refresh_token'),
  }
}

/** What people and apps do, from each node to the other. */
async function walk(scene: Scene, turn: Turn, found: string[]): Promise<void> {
  for (const [from, to] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const way = `from node ${from + 1} to ${to + 1}`
    const browser = scene.cluster.browser(from)
    const got = await signIn(scene, browser)
    const tokens = await redeemAt(scene, to, got)
    if (tokens.status !== 200) {
      found.push(`${way}: a code is refused: ${tokens.text}`)
      continue
    }
    if (tokens.body.expires_in !== TOKEN_LIFE) found.push(`${way}: expires_in is ${tokens.body.expires_in}`)
    const { iat, exp } = decodeJwt(text(tokens, 'id_token'))
    if (exp! - iat! !== 3600) found.push(`${way}: an ID token lives for ${exp! - iat!} s`)
    for (const node of [from, to]) {
      const { body } = await introspectAt(scene, node, text(tokens, 'access_token'))
      if (body.active !== true) found.push(`${way}: an access token is dead at node ${node + 1}`)
      else if (Number(body.exp) - Number(body.iat) !== TOKEN_LIFE)
        found.push(`${way}: introspection says ${body.iat} to ${body.exp}`)
    }
    const first = await refreshAt(scene, from, text(tokens, 'refresh_token'))
    const again = await refreshAt(scene, to, text(tokens, 'refresh_token'))
    if (first.status !== 200 || again.body.refresh_token !== first.body.refresh_token)
      found.push(`${way}: a refresh that was repeated: ${first.status} ${again.text}`)
    if (!(await isSignedIn(scene, to, browser))) found.push(`${way}: a session is gone`)
    await checkJwt(scene, turn, [from, to], way, found)
  }
}

/** @returns a code; asks again after a 503 */
async function signIn(scene: Scene, browser: Browser) {
  const work = () => obtainCode(scene.cluster, 'spa', THINGS_READ, browser)
  return work().catch(async (error: Error) => {
    if (!error.message.startsWith('no code: 503')) throw error
    scene.again += 1
    await sleep(1000)
    return work()
  })
}

async function isSignedIn({ cluster }: Scene, node: number, { jar }: Browser): Promise<boolean> {
  const other = cluster.browser(node, jar)
  const url = authorizeUrl(cluster, 'spa', pkce().challenge, { ...THINGS_READ, prompt: 'none' })
  return (await other.open(url)).url.searchParams.has('code')
}

/** JWTs carry the time of the machine that signs them: for clocks that differ by more than is tolerated nothing is promised. */
async function checkJwt(scene: Scene, turn: Turn, [from, to]: readonly [number, number], way: string, found: string[]) {
  const headers = basic('billing', scene.installation.cast.billing)
  const issued = await sendTo(scene, from, '/token', { grant_type: 'client_credentials', resource: ORDERS }, headers)
  const token = text(issued, 'access_token')
  const { iat, exp } = decodeJwt(token)
  if (issued.body.expires_in !== TOKEN_LIFE || exp! - iat! !== TOKEN_LIFE)
    found.push(`${way}: a JWT lives for ${exp! - iat!} s`)
  const apart = Math.abs((turn.one ?? 0) - (turn.two ?? 0))
  const { body } = await introspectAt(scene, to, token)
  if (apart <= TOLERATED && body.active !== true) found.push(`${way}: a JWT is refused, ${apart} s apart`)
}

/** A key that was published a moment ago does not sign because somebody's clock is an hour ahead. */
async function keepKeys({ clocks, cluster, installation, misses }: Scene): Promise<void> {
  const settings = {
    GATEHOUSE_ISSUER: installation.issuer,
    DATABASE_URL: installation.database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
  }
  set(clocks, {}, 400)
  await sleep(HEARD)
  // Those that stand by are made in the background, a few seconds after the start.
  const first = await runCommand(settings, ['keys', 'rotate'])
  if (first.code !== 0) misses.push(`keys: those that stood by for 400 s do not sign: ${first.err}`)
  set(clocks, { one: 3600 }, 400)
  const early = await runCommand({ ...settings, ...clocks.one.env }, ['keys', 'rotate'])
  if (early.code === 0) misses.push('keys: one that was just published signs, because a clock is an hour ahead')
  if (cluster.nodes.length !== 2) misses.push('keys: no nodes')
}

async function sendTo(
  scene: Scene,
  node: number,
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const { port } = scene.cluster.nodes[node]!
  const ask = () => send(port, path, { form, headers: { ...headers, host: new URL(scene.cluster.issuer).host } })
  let answer = await ask()
  scene.answers += 1
  // Statements that were under way when the database's clock was set may be taken for late ones.
  if (answer.status === 503 && answer.headers['retry-after']) {
    scene.again += 1
    await sleep(1000)
    answer = await ask()
  }
  if (answer.status >= 500) scene.misses.push(`${path} is ${answer.status}`)
  scene.bench.canaries.learn({}, answer)
  return answer
}

const text = ({ body }: RawAnswer, name: string) => String(body[name])

const redeemAt = (scene: Scene, node: number, { code, verifier }: { code: string; verifier: string }) =>
  sendTo(scene, node, '/token', {
    grant_type: 'authorization_code',
    client_id: 'spa',
    redirect_uri: CALLBACK,
    code,
    code_verifier: verifier,
  })

const refreshAt = (scene: Scene, node: number, token: string) =>
  sendTo(scene, node, '/token', { grant_type: 'refresh_token', client_id: 'spa', refresh_token: token })

const introspectAt = (scene: Scene, node: number, token: string) =>
  sendTo(scene, node, '/introspect', { token }, basic(scene.installation.api.id, scene.installation.api.secret))
