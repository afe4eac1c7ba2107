import type { Cluster } from '../../test/helpers/cluster.ts'
import { authorizeUrl, basic, obtainCode, pkce, post } from '../../test/helpers/flow.ts'
import { createProver } from '../../test/helpers/prover.ts'
import type { Experiment } from '../experiment.ts'
import { race } from '../race.ts'

const PARALLEL = 50

/** One DPoP proof, and one pushed request, fifty uses at once each. */
export const r06Proofs: Experiment = {
  id: 'R-06',
  title: 'one DPoP proof, and one request_uri, many uses at once',
  size: { full: `24 proofs and 24 pushed requests × ${PARALLEL}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms` },
  target: 'one success each, no 5xx',

  async run(bench) {
    const installation = await bench.install()
    const { cast } = installation
    const prover = await createProver()
    let turn = 0
    return race(bench, installation, 48, (cluster, misses) => (turn++ % 2 === 0 ? prove : push)(cluster, misses))

    async function prove(cluster: Cluster, misses: string[]) {
      const dpop = await prover.prove('POST', `${cluster.issuer}/token`)
      const answers = await cluster.fire(PARALLEL, () => ({
        path: '/token',
        form: { grant_type: 'client_credentials' },
        headers: { ...basic('billing', cast.billing), dpop },
      }))
      const good = answers.filter(({ status }) => status === 200).length
      const refused = answers.filter(({ body }) => body.error === 'invalid_grant').length
      if (good !== 1) misses.push(`${good} uses of one proof answered 200`)
      if (good + refused !== PARALLEL) misses.push(`${PARALLEL - good - refused} other answers to a proof`)
      return { answers, good }
    }

    async function push(cluster: Cluster, misses: string[]) {
      const { browser } = await obtainCode(cluster, 'shop')
      const form = Object.fromEntries(authorizeUrl(cluster, 'shop', pkce().challenge).searchParams)
      const { body } = await post(cluster, '/par', form, { id: 'shop', secret: cast.shop })
      const query = new URLSearchParams({ client_id: 'shop', request_uri: String(body.request_uri) })
      const cookie = await browser.jar.getCookieString(cluster.issuer)
      const answers = await cluster.fire(PARALLEL, () => ({ path: `/authorize?${query}`, headers: { cookie } }))
      const said = answers.map(({ headers, text }) => `${headers.location} ${text}`)
      const good = said.filter((one) => one.includes('code=gth_ac_')).length
      const refused = said.filter((one) => one.includes('invalid_request_uri')).length
      if (good !== 1) misses.push(`${good} codes came of one pushed request`)
      if (good + refused !== PARALLEL) misses.push(`${PARALLEL - good - refused} other answers to a pushed request`)
      return { answers, good }
    }
  },
}
