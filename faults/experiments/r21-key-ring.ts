import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { authorizeUrl, basic, obtainTokens, pkce } from '../../test/helpers/flow.ts'
import type { Chain } from '../../test/helpers/load.ts'
import { type RawAnswer, runCommand, send } from '../../test/helpers/process.ts'
import { ORDERS, TEST_SECRET, THINGS } from '../../test/helpers/server.ts'
import type { Experiment } from '../experiment.ts'

const app = { id: 'spa' }

/** People, apps and services at work at all processes while the keys in the ring change, again and again. */
export const r21KeyRing: Experiment = {
  id: 'R-21',
  title: 'cookie keys, peppers and at-rest keys change under load',
  size: { full: '5 changes, 8 people, 4 processes', quick: '1 change, 3 people, 2 processes' },
  target: 'nobody is signed out, nothing that stands is refused, no 5xx',

  async run(bench) {
    const [changes, people, processes] = bench.quick ? [1, 3, 2] : [5, 8, 4]
    const installation = await bench.install()
    const { ledger, cast, api, database } = installation
    const cluster = await installation.start({ processes, warm: 20 })
    const misses: string[] = []
    const count = { signIns: 0, refreshes: 0, introspections: 0, tokens: 0 }
    let over = false

    const work = Array.from({ length: people }, async (_, number) => {
      const person = await begin(cluster, number)
      ledger.chains.push(person.chain)
      for (let turn = number; !over; turn++) await live(cluster, person, turn)
    })
    // So that everybody is at work before the keys change, and after.
    await sleep(1000)
    for (let change = 0; change < changes; change++) {
      const ran = await runCommand({ DATABASE_URL: database.url, GATEHOUSE_SECRET: TEST_SECRET }, ['rekey', '--ring'])
      if (ran.code !== 0) misses.push(`rekey --ring ended with ${ran.code}: ${ran.err}`)
    }
    await sleep(1000)
    over = true
    for (const one of await Promise.allSettled(work)) if (one.status === 'rejected') misses.push(String(one.reason))
    const { signIns, refreshes, introspections, tokens } = count
    const told = `${signIns} silent sign-ins, ${refreshes} refreshes, ${introspections} introspections, ${tokens} tokens of services`
    return { result: `${changes} changes: ${told}`, misses: [...new Set(misses)] }

    async function begin(at: Cluster, number: number) {
      const browser = at.browser(number)
      const ask = { scope: 'openid orders:read', resource: ORDERS }
      const { body } = await obtainTokens(at, app, ask, browser)
      const opaque = await obtainTokens(at, app, { scope: 'openid things:read', resource: THINGS }, browser)
      const access = [body.access_token, opaque.body.access_token]
      const chain: Chain = { code: '', verifier: '', head: body.refresh_token, access, state: 'live' }
      return { jar: browser.jar, chain, opaque: opaque.body.access_token }
    }

    async function live(at: Cluster, { jar, chain, opaque }: Awaited<ReturnType<typeof begin>>, turn: number) {
      const port = at.nodes[turn % at.nodes.length]!.port
      const post = async (path: string, form: Record<string, string>, headers = {}) => {
        const answer = await send(port, path, { form, headers: { ...headers, host: new URL(at.issuer).host } })
        bench.canaries.learn({ form, headers }, answer)
        return answer
      }
      const good = (what: string, holds: boolean, { status, text }: Pick<RawAnswer, 'status' | 'text'>) => {
        if (!holds) misses.push(`${what}: ${status} ${text.slice(0, 200)}`)
      }
      const silent = authorizeUrl(at, app.id, pkce().challenge, { prompt: 'none' })
      const page = await at.browser(turn, jar).open(silent)
      good('signed out', page.url.searchParams.has('code'), {
        status: page.status,
        text: String(page.url.searchParams),
      })
      const refreshed = await post('/token', {
        grant_type: 'refresh_token',
        refresh_token: chain.head,
        client_id: app.id,
      })
      good('not refreshed', refreshed.status === 200, refreshed)
      chain.head = String(refreshed.body.refresh_token)
      const newest = String(refreshed.body.access_token)
      for (const token of [chain.access[0]!, newest, opaque]) {
        const told = await post('/introspect', { token }, basic(api.id, api.secret))
        good('inactive', told.body.active === true, told)
      }
      const service = await post('/token', { grant_type: 'client_credentials' }, basic('billing', cast.billing))
      good('no token for a service', service.status === 200, service)
      count.signIns += 1
      count.refreshes += 1
      count.introspections += 3
      count.tokens += 1
      await sleep(20)
    }
  },
}
