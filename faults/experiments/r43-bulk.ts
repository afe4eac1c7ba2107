import { setTimeout as sleep } from 'node:timers/promises'
import { basic } from '../../test/helpers/flow.ts'
import { multiply } from '../../test/helpers/multiply.ts'
import { type ServerProcess, send, startProcess } from '../../test/helpers/process.ts'
import { freePort, startTestServer, TEST_SECRET } from '../../test/helpers/server.ts'
import { runCommand } from '../command.ts'
import type { Experiment } from '../experiment.ts'
import { grow } from '../growth.ts'

const PERSONS = 10_000
const CLIENTS = 100_000
/** more than PostgreSQL has room for locks */
const SESSIONS = 100_000
const EFFECT_WITHIN = 1000
/** a minute's grace for requests under way, ten seconds to the next sweep, and the work */
const GONE_WITHIN = 120_000

/** Much hangs on one person and one client, and both end while two processes serve. */
export const r43Bulk: Experiment = {
  id: 'R-43',
  title: 'much that ends at once',
  size: { full: `a person with ${PERSONS} tokens and ${SESSIONS} sessions, a client with ${CLIENTS}; 2 processes` },
  target: `refused at every process within ${EFFECT_WITHIN} ms of the command; rows gone within ${GONE_WITHIN / 1000} s, in the background`,

  async run(bench) {
    const database = await bench.database.create()
    bench.after(() => database.drop())
    const home = await startTestServer({ database })
    bench.after(() => home.stop())
    const pool = database.pool()
    const grown = await grow(home, pool, { grants: 0, sessions: 0, families: 0, tokens: 0 }, 20)
    const env = {
      DATABASE_URL: database.url,
      GATEHOUSE_ISSUER: home.issuer,
      GATEHOUSE_SECRET: TEST_SECRET,
      LOG_LEVEL: 'error',
    }
    const nodes = await Promise.all([1, 2].map(startNode))
    const own = await ask(
      nodes[0]!,
      '/token',
      { grant_type: 'client_credentials', scope: 'things:read' },
      grown.machine,
    )
    await multiply(pool, { table: 'access_tokens', key: 'id_hash', many: PERSONS, where: 'grant_hash is not null' })
    await multiply(pool, { table: 'grants', key: 'id_hash', many: PERSONS / 10 })
    await multiply(pool, { table: 'access_tokens', key: 'id_hash', many: CLIENTS, where: 'client_epoch is not null' })
    await multiply(pool, { table: 'sessions', key: 'id_hash', many: SESSIONS, where: 'account_id is not null' })
    await pool.query(`update sessions set uid = encode(id_hash, 'hex') where account_id is not null`)
    const ends = [
      await effect(String(own.access_token), 'client', 'disable', grown.machine.id),
      await effect(grown.access[0]!, 'user', 'disable', 'ada@example.com'),
    ]
    const begun = performance.now()
    let left = await count()
    while (left > 0 && performance.now() - begun < GONE_WITHIN) {
      await sleep(500)
      left = await count()
    }
    const seconds = Math.round((performance.now() - begun) / 1000)
    return {
      result: `refused after ${ends.map(Math.round).join(' and ')} ms; ${left === 0 ? `all rows gone after ${seconds} s` : `${left} rows left`}`,
      misses: [
        ...ends.filter((end) => end > EFFECT_WITHIN).map((end) => `refused only after ${Math.round(end)} ms`),
        ...(left > 0 ? [`${left} rows were left after ${GONE_WITHIN / 1000} s`] : []),
      ],
    }

    async function startNode(): Promise<ServerProcess> {
      const node = await startProcess({ ...env, PORT: String(await freePort()) })
      bench.after(() => node.kill())
      return node
    }

    async function ask(node: ServerProcess, path: string, form: Record<string, string>, who: object) {
      const headers = 'secret' in who ? basic(grown.machine.id, grown.machine.secret) : (who as Record<string, string>)
      const host = new URL(home.issuer).host
      return (await send(node.port, path, { form, headers: { host, ...headers } })).body
    }

    /** @returns milliseconds from the command's answer until every process refuses the token */
    async function effect(token: string, ...command: string[]): Promise<number> {
      const active = async () => {
        const answers = await Promise.all(nodes.map((node) => ask(node, '/introspect', { token }, grown.api)))
        return answers.some((answer) => answer.active !== false)
      }
      if (!(await active())) throw new Error('the token was dead before')
      await runCommand(env, command).answer
      const begun = performance.now()
      while ((await active()) && performance.now() - begun < 10 * EFFECT_WITHIN) await sleep(10)
      return performance.now() - begun
    }

    async function count(): Promise<number> {
      const { rows } = await pool.query<{ n: number }>(
        `select ((select count(*) from access_tokens) + (select count(*) from grants)
          + (select count(*) from sessions where account_id is not null))::int as n`,
      )
      return rows[0]!.n
    }
  },
}
