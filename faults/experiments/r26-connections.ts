import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { basic } from '../../test/helpers/flow.ts'
import type { Experiment } from '../experiment.ts'
import { ANSWER_WITHIN, BACK_WITHIN, installBreakable, inWords, judge, startLoaded, underLoad } from '../outage.ts'

const MOST = 20
const PROCESSES = 4

/** Four processes want more connections than the server has, then strangers take nearly all of them. */
export const r26Connections: Experiment = {
  id: 'R-26',
  title: 'connections run out',
  size: {
    full: `max_connections ${MOST}, ${PROCESSES} processes, 100 requests at once, 10 times; then 5 s with none left`,
  },
  target: 'requests queue, or are a 503 within 2 s; no deadlock; all is served again when there are connections',

  async run(bench) {
    const misses: string[] = []
    const { installation, host } = await installBreakable(bench, { max_connections: String(MOST) })
    const admin = new pg.Client(host.node.connection)
    admin.on('error', () => undefined)
    await admin.connect()
    bench.after(() => admin.end())
    const cluster = await startLoaded(installation, PROCESSES, 0)
    const load = await underLoad(installation, cluster, () => sleep(3000), { after: 1000 })
    misses.push(...judge(load, 'with few connections'))

    const counts = { good: 0, refused: 0, slowest: 0 }
    for (let turn = 0; turn < 10; turn += 1) {
      const begun = performance.now()
      const { code } = await writeBurst(turn)
      const took = performance.now() - begun
      counts.good += code.filter((status) => status === 200).length
      counts.refused += code.filter((status) => status === 503).length
      const odd = code.filter((status) => status !== 200 && status !== 503)
      if (odd.length > 0) misses.push(`100 at once: ${odd.length} answers were ${odd[0]}`)
      counts.slowest = Math.max(counts.slowest, Math.round(took))
    }
    if (counts.good < 900) misses.push(`100 at once: ${counts.good} of 1000 were served`)

    const strangers: pg.Client[] = []
    const starved = await underLoad(installation, cluster, async () => {
      // Whatever the processes let go of, somebody else takes.
      const until = performance.now() + 5000
      while (performance.now() < until) {
        const stranger = new pg.Client({ ...host.node.connection })
        stranger.on('error', () => undefined)
        const got = await stranger.connect().then(
          () => true,
          () => false,
        )
        if (got) strangers.push(stranger)
        else await sleep(20)
        await admin
          .query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'gatehouse%'`)
          .catch(() => undefined)
      }
      await Promise.all(strangers.map((stranger) => stranger.end()))
    })
    bench.say(`starved: ${inWords([starved])}`)
    misses.push(...judge(starved, 'with none left', BACK_WITHIN))
    return {
      result: `few: ${inWords([load])}; 100 at once: ${counts.good} good, ${counts.refused} refused, slowest burst ${counts.slowest} ms; none: ${inWords([starved])} (limit ${ANSWER_WITHIN} ms)`,
      misses,
    }

    async function writeBurst(turn: number) {
      const answers = await cluster.fire(100, () => ({
        path: '/token',
        form: { grant_type: 'client_credentials', resource: 'https://things.example.com' },
        headers: basic('shop', installation.cast.shop),
      }))
      for (const { status, body } of answers)
        if (status === 200) installation.ledger.tokens.set(String(body.access_token), 'live')
      bench.say(`burst ${turn + 1}: ${answers.filter(({ status }) => status === 200).length} of 100 good`)
      return { code: answers.map(({ status }) => status) }
    }
  },
}
