import { setTimeout as sleep } from 'node:timers/promises'
import { GRACE_SECONDS } from '../../src/tokens/families.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { basic, obtainTokens, refresh } from '../../test/helpers/flow.ts'
import type { Chain } from '../../test/helpers/load.ts'
import type { Experiment } from '../experiment.ts'
import { race } from '../race.ts'

const PARALLEL = 100
const app = { id: 'spa' }

/** One refresh token of a public client, a hundred uses at once; then again when the grace window is over. */
export const r02Refresh: Experiment = {
  id: 'R-02',
  title: 'one refresh token, many uses at once',
  size: {
    full: `50 public and 17 confidential tokens × ${PARALLEL}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms`,
    quick: `4 tokens × ${PARALLEL}, 2 processes, 0 and 25 ms`,
  },
  target:
    'public: every 200 carries the one successor, and used again after the grace window the family is dead; confidential: the token stays; no 5xx',

  async run(bench) {
    const installation = await bench.install()
    const { ledger, issuer, cast } = installation
    const old: { token: string; chain: Chain }[] = []
    const rotations = async (): Promise<number> =>
      (
        await installation.database
          .pool()
          .query(`select count(*)::int as n from audit_entries where kind = 'family.rotated'`)
      ).rows[0].n
    let turn = 0
    const outcome = await race(bench, installation, 67, async (cluster, misses) => {
      if (turn++ % 4 === 3) return useConfidential(cluster, misses)
      const { body } = await obtainTokens(cluster, app, { scope: 'openid things:read' })
      const before = await rotations()
      const answers = await cluster.fire(PARALLEL, () => ({
        path: '/token',
        form: { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: app.id },
      }))
      const good = answers.filter(({ status }) => status === 200)
      const successors = new Set(good.map((answer) => String(answer.body.refresh_token)))
      if (good.length !== PARALLEL)
        misses.push(`${good.length} of ${PARALLEL} uses within the grace window answered 200`)
      if (successors.size !== 1 || successors.has(body.refresh_token)) {
        misses.push(`one token has ${successors.size} successors`)
      }
      // The successor is derived from the token, so many who rotate would agree on it: only one may.
      const rotated = (await rotations()) - before
      if (rotated !== 1) misses.push(`one token was rotated ${rotated} times`)
      const access = [body.access_token, ...good.map((answer) => String(answer.body.access_token))]
      const chain: Chain = { code: '', verifier: '', head: [...successors][0] ?? '', access, state: 'live' }
      ledger.chains.push(chain)
      ledger.idTokens.push(body.id_token)
      old.push({ token: body.refresh_token, chain })
      return { answers, good: good.length }
    })
    const misses = [...outcome.misses]
    await sleep((GRACE_SECONDS + 1) * 1000)
    // Half of them are left alone: the oracle sees that their heads live.
    for (const { token, chain } of old.filter((_, index) => index % 2 === 0)) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => refresh({ issuer }, app, token)))
      if (answers.some(({ body }) => body.error !== 'invalid_grant'))
        misses.push('an old token was taken after the grace window')
      chain.state = 'ended'
    }
    return { ...outcome, misses }

    async function useConfidential(cluster: Cluster, misses: string[]) {
      const shop = { id: 'shop', secret: cast.shop }
      const { body } = await obtainTokens(cluster, shop, { scope: 'openid orders:read' })
      const answers = await cluster.fire(PARALLEL, () => ({
        path: '/token',
        form: { grant_type: 'refresh_token', refresh_token: body.refresh_token },
        headers: basic(shop.id, shop.secret),
      }))
      const good = answers.filter((answer) => answer.body.refresh_token === body.refresh_token).length
      if (good !== PARALLEL) misses.push(`${good} of ${PARALLEL} uses by a confidential client kept its token`)
      for (const answer of answers) ledger.tokens.set(String(answer.body.access_token), 'live')
      return { answers, good }
    }
  },
}
