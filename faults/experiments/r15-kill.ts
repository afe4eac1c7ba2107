import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Asked, checkChain, checkCodes, checkStanding } from '../../test/helpers/ledger-checks.ts'
import { emptyLedger, type Ledger, type LoadParts, seeded, startLoad } from '../../test/helpers/load.ts'
import { addMachine, THINGS } from '../../test/helpers/server.ts'
import { startEmbedded } from '../embedded.ts'
import type { Bench, Experiment } from '../experiment.ts'
import { consultEmbedded } from '../oracle.ts'

const VICTIMS = ['server', 'database', 'both'] as const
/** milliseconds from the kill until it serves again */
const BACK_WITHIN = { embedded: 10_000, external: 3_000 }
const app = { id: 'spa' }

/** kill -9 of the server, of the embedded database, or of both, in the middle of issuing. SEED=… repeats a run. */
export const r15Kill: Experiment = {
  id: 'R-15',
  title: 'kill -9 at random while tokens are issued',
  size: {
    full: '20 kills with the embedded database (server, database, both), 20 of one of two servers on a database of their own',
    quick: '6 kills with the embedded database, 3 of one of two servers',
  },
  target:
    'what was acknowledged is there, what was not is whole or absent; serving again within 10 s and 3 s by itself',

  async run(bench) {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 32 - 1))
    bench.say(`SEED=${seed}`)
    const random = seeded(seed)
    const embedded = await killEmbedded(bench, random, bench.quick ? 6 : 20)
    const external = await killExternal(bench, random, bench.quick ? 3 : 20)
    const told = ({ back, ledger }: Killed) =>
      `${back.length} kills, back after ${Math.round(Math.max(...back))} ms at most, ` +
      `${ledger.tokens.size} tokens, ${ledger.chains.length} families, ${ledger.clients.length} clients`
    return {
      result: `embedded: ${told(embedded)}; external: ${told(external)}`,
      misses: [...embedded.misses, ...external.misses].map((miss) => `${miss} (SEED=${seed})`),
    }
  },
}

interface Killed {
  /** milliseconds */
  readonly back: number[]
  readonly ledger: Ledger
  readonly misses: string[]
}

async function killEmbedded(bench: Bench, random: () => number, rounds: number): Promise<Killed> {
  const place = await startEmbedded(bench)
  const asked = { issuer: place.issuer, app, api: place.api }
  const killed: Killed = { back: [], ledger: emptyLedger(), misses: [] }
  for (let round = 0; round < rounds; round++) {
    const victim = VICTIMS[round % VICTIMS.length]!
    const since = await killWhileIssuing(
      bench,
      asked,
      { ...place, app, random },
      `embedded-${round}`,
      killed,
      async () => {
        const before = (await place.postmaster())!
        const acts = [
          async () => void (victim !== 'server' && process.kill(before, 'SIGKILL')),
          async () => void (victim !== 'database' && (await place.server().kill())),
        ]
        if (random() < 0.5) acts.reverse()
        for (const act of acts) await act()
        const begun = performance.now()
        // A killed server is started again by whoever watches it; a database that was killed is brought back by its server.
        if (victim !== 'database') await place.restart()
        // What a killed database leaves behind answers for a moment: it is back when there is another one.
        if (victim === 'database') await anotherThan(before, place.postmaster)
        return (await place.ready(BACK_WITHIN.embedded)) === undefined ? undefined : performance.now() - begun
      },
    )
    if (since === undefined || since > BACK_WITHIN.embedded)
      killed.misses.push(`after ${victim} was killed: not back in time`)
  }
  killed.misses.push(...(await consultEmbedded(bench, place, killed.ledger)))
  return killed
}

async function anotherThan(before: number, find: () => Promise<number | undefined>): Promise<void> {
  const until = performance.now() + BACK_WITHIN.embedded
  const isAnother = async () => ![before, undefined].includes(await find())
  while (performance.now() < until && !(await isAnother())) await sleep(20)
}

async function killExternal(bench: Bench, random: () => number, rounds: number): Promise<Killed> {
  const { home, api, issuer, ledger, start } = await bench.install()
  const cluster = await start({ processes: 2 })
  const machine = await addMachine(home)
  const register = (id: string) => home.addClient({ id, scopes: { [THINGS]: ['things:read'] } })
  const killed: Killed = { back: [], ledger, misses: [] }
  const parts = { issuer, machine, app, register, random }
  for (let round = 0; round < rounds; round++) {
    const back = await killWhileIssuing(bench, { issuer, app, api }, parts, `external-${round}`, killed, async () => {
      await cluster.nodes[0]!.kill()
      const begun = performance.now()
      await cluster.restart(0)
      return performance.now() - begun
    })
    if (back === undefined || back > BACK_WITHIN.external)
      killed.misses.push(`not back after ${Math.round(back ?? 0)} ms`)
  }
  return killed
}

/** One round: load, a kill at a random moment, and what was promised held against the server that came back. */
async function killWhileIssuing(
  bench: Bench,
  asked: Asked,
  parts: LoadParts,
  name: string,
  { back, ledger: all, misses }: Killed,
  kill: () => Promise<number | undefined>,
): Promise<number | undefined> {
  const { ledger, stop } = startLoad(parts, name)
  await sleep(400 + parts.random() * 1600)
  const killing = kill()
  const since = await killing
  await stop()
  if (since !== undefined) back.push(since)
  const found: string[] = []
  // A client whose last answer was lost asks again within the grace period: so the chains come first.
  for (const chain of ledger.chains) found.push(...(await checkChain(asked, chain)))
  found.push(...(await checkCodes(asked, ledger)))
  found.push(...(await checkStanding(asked, ledger)))
  bench.say(`${name}: ${found.length} misses, ${ledger.tokens.size} tokens, ${ledger.chains.length} families`)
  misses.push(...found.map((miss) => `${name}: ${miss}`))
  merge(all, ledger)
  return since
}

function merge(all: Ledger, one: Ledger): void {
  for (const [token, state] of one.tokens) all.tokens.set(token, state)
  all.chains.push(...one.chains)
  all.idTokens.push(...one.idTokens)
  all.clients.push(...one.clients)
  all.consents.push(...one.consents)
}
