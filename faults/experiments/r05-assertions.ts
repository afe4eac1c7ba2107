import { ORDERS } from '../../test/helpers/server.ts'
import { createSecretSigner, createSigner } from '../../test/helpers/signer.ts'
import type { Experiment } from '../experiment.ts'
import { race } from '../race.ts'

const PARALLEL = 50
const FORM = { grant_type: 'client_credentials', resource: ORDERS }

/** One signed assertion, fifty uses at once, and more after every process was started again. */
export const r05Assertions: Experiment = {
  id: 'R-05',
  title: 'one client assertion, many uses at once and after a restart',
  size: { full: `24 assertions × ${PARALLEL}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms; then once more` },
  target: 'one 200 each in total, no 5xx',

  async run(bench) {
    const installation = await bench.install()
    const { home, issuer } = installation
    const byKey = await createSigner(issuer, 'by-key')
    await home.addClient({ id: 'by-key', authMethod: 'private_key_jwt', jwks: byKey.jwks })
    const secret = await home.addClient({ id: 'by-secret', authMethod: 'client_secret_jwt' })
    const signers = [byKey, createSecretSigner(issuer, 'by-secret', secret)]
    const exp = () => Math.floor(Date.now() / 1000) + 290
    let used: Record<string, string>[] = []
    let turn = 0
    const outcome = await race(bench, installation, 24, async (cluster, misses) => {
      const assertion = await signers[turn++ % 2]!.assert({ exp: exp() })
      const answers = await cluster.fire(PARALLEL, () => ({ path: '/token', form: { ...FORM, ...assertion } }))
      used = [...used.slice(-7), assertion]
      const good = answers.filter(({ status }) => status === 200).length
      const refused = answers.filter(({ body }) => body.error === 'invalid_client').length
      if (good !== 1) misses.push(`${good} uses of one assertion answered 200`)
      if (good + refused !== PARALLEL) misses.push(`${PARALLEL - good - refused} other answers`)
      return { answers, good }
    })
    const again = await installation.start({ processes: 2 })
    const after = await again.fire(used.length * 4, (index) => ({
      path: '/token',
      form: { ...FORM, ...used[index % used.length]! },
    }))
    const wrong = after.filter(({ status }) => status !== 401)
    return {
      result: `${outcome.result}; ${after.length} more after a restart, ${wrong.length} of them not refused`,
      misses: [...outcome.misses, ...wrong.map(({ status }) => `an assertion that was used answered ${status} later`)],
    }
  },
}
