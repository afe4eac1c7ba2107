import { basic, introspect, obtainCode, refresh } from '../../test/helpers/flow.ts'
import { CALLBACK } from '../../test/helpers/server.ts'
import type { Experiment } from '../experiment.ts'
import { race, tally } from '../race.ts'

const PARALLEL = 100

/** One code, a hundred redemptions at once. */
export const r01Codes: Experiment = {
  id: 'R-01',
  title: 'one code, many redemptions at once',
  size: {
    full: `50 codes × ${PARALLEL}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms`,
    quick: `4 codes × ${PARALLEL}, 2 processes, 0 and 25 ms`,
  },
  target: 'one 200 each, no 5xx; afterwards the family of each is dead',

  async run(bench) {
    const installation = await bench.install()
    const { ledger, api, cast } = installation
    let turn = 0
    return race(bench, installation, 50, async (cluster, misses) => {
      // In turn a public client with opaque tokens and a confidential one with JWTs.
      const isPublic = turn++ % 2 === 0
      const [id, scope] = isPublic ? ['spa', 'openid things:read'] : ['shop', 'openid orders:read']
      const got = await obtainCode(cluster, id, { scope })
      const credentials = isPublic ? {} : basic(id, cast.shop)
      const answers = await cluster.fire(PARALLEL, () => ({
        path: '/token',
        form: {
          grant_type: 'authorization_code',
          code: got.code,
          code_verifier: got.verifier,
          redirect_uri: CALLBACK,
          ...(isPublic && { client_id: id }),
        },
        headers: credentials,
      }))
      const good = answers.filter(({ status }) => status === 200)
      const refused = answers.filter(({ body }) => body.error === 'invalid_grant')
      if (good.length !== 1) misses.push(`${good.length} redemptions of one code answered 200`)
      if (good.length + refused.length !== PARALLEL) {
        misses.push(`answers: ${tally(answers.map(({ status, body }) => `${status} ${body.error ?? ''}`))}`)
      }
      for (const { body } of good) {
        const [access, token] = [String(body.access_token), String(body.refresh_token)]
        const client = isPublic ? { id } : { id, secret: cast.shop }
        const again = await refresh(cluster, client, token)
        if (again.body.error !== 'invalid_grant') misses.push(`a replayed code's refresh token answers ${again.status}`)
        if ((await introspect(cluster, api, access)).active) misses.push("a replayed code's access token is alive")
        ledger.idTokens.push(String(body.id_token))
        if (isPublic) ledger.chains.push({ ...got, head: token, access: [access], state: 'ended' })
        else ledger.tokens.set(access, 'ended')
      }
      return { answers, good: good.length }
    })
  },
}
