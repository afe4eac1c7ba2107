import { basic } from '../../test/helpers/flow.ts'
import type { Experiment } from '../experiment.ts'
import { BACK_WITHIN, installBreakable, RED_WITHIN, readiness, startLoaded } from '../outage.ts'

/** After a failover the old primary comes back, as it was and as a standby, and the proxy leads to it by mistake. */
export const r25OldPrimary: Experiment = {
  id: 'R-25',
  title: 'the old primary returns, stale; a standby',
  size: { full: '1 old primary, 1 standby, 2 processes, 40 requests of each kind at each' },
  target:
    'nothing is written to it or read from it; readiness is red within 5 s, and green within 5 s at the right one',

  async run(bench) {
    const misses: string[] = []
    const { host, front, installation } = await installBreakable(bench)
    const { cast } = installation
    const cluster = await startLoaded(installation)
    const standby = await host.node.makeStandby('two')
    await host.node.synchronous(true)
    const asked = { token: String(installation.ledger.chains[0]?.access[0]) }
    const served = async (where: string) => {
      const red = await readiness(cluster, 503, RED_WITHIN, misses)
      const answers = [
        ...(await cluster.fire(40, () => ({
          path: '/introspect',
          form: asked,
          headers: basic('orders-api', cast.api),
        }))),
        ...(await cluster.fire(40, () => ({
          path: '/token',
          form: { grant_type: 'client_credentials', resource: 'https://things.example.com' },
          headers: basic('shop', cast.shop),
        }))),
        ...(await cluster.fire(40, () => ({ path: '/revoke', form: asked, headers: basic('shop', cast.shop) }))),
      ]
      const other = answers.filter(({ status, headers }) => status !== 503 || !headers['retry-after'])
      if (other.length > 0) misses.push(`${where}: ${other.length} of ${answers.length} requests were not refused`)
      bench.say(`${where}: red after ${red} ms, ${answers.length - other.length} of ${answers.length} refused`)
      return red
    }
    front.switchTo(standby.connection)
    const standbyRed = await served('standby')
    await host.node.stop('fast')
    await standby.promote()
    const green = await readiness(cluster, 200, BACK_WITHIN, misses)
    await host.node.start({ synchronous_standby_names: '' })
    front.switchTo(host.node.connection)
    const oldRed = await served('old primary')
    front.switchTo(standby.connection)
    const back = await readiness(cluster, 200, BACK_WITHIN, misses)
    return {
      result: `red after ${standbyRed} and ${oldRed} ms, green after ${green} and ${back} ms`,
      misses,
    }
  },
}
