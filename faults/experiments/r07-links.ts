import type { Page } from '../../test/helpers/browser.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import type { Experiment } from '../experiment.ts'
import { race, tally } from '../race.ts'

const USES = 50
const WORDS = 'three quiet herons on the weir'

/** A link that sets a password, and one that makes the first administrator, used fifty times at once. */
export const r07Links: Experiment = {
  id: 'R-07',
  title: 'one-time links used many times at once',
  size: {
    full: `12 links of each kind × ${USES}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms`,
    quick: `2 links of each kind × ${USES}, 2 processes, 0 and 25 ms`,
  },
  target: 'one success each, no 5xx; the password of the one who was told so is good',

  async run(bench) {
    const installation = await bench.install()
    const { home, ledger, database } = installation
    const { accounts } = home.rooms
    let turn = 0
    return race(bench, installation, 8, async (cluster, misses) =>
      turn++ % 2 === 0 ? setPassword(cluster, misses) : makeAdmin(cluster, misses),
    )

    async function setPassword(cluster: Cluster, misses: string[]) {
      const email = `person-${turn}@example.com`
      const account = await accounts.add({ email, name: 'Grace' }, 'operator')
      const { token } = await accounts.makeSetPasswordLink(account!.id, 'operator')
      bench.canaries.add(token)
      const pages = await use(cluster, `/set-password?token=${token}`, (index) => ({ password: `${WORDS} ${index}` }))
      const winner = pages.findIndex(({ status }) => status === 200)
      ledger.passwords.set(email, `${WORDS} ${winner}`)
      return judge(pages, misses)
    }

    async function makeAdmin(cluster: Cluster, misses: string[]) {
      // There is one first administrator: the one of the round before is none any more.
      await database.pool().query(`update accounts set role = 'user' where role = 'admin'`)
      const { token } = await accounts.makeAdminLink('operator')
      bench.canaries.add(token)
      const address = (index: number) => `admin-${turn}-${index}@example.com`
      const pages = await use(cluster, `/admin/setup?token=${token}`, (index) => ({
        email: address(index),
        name: 'Grace',
        password: `${WORDS} ${index}`,
      }))
      const winner = pages.findIndex(({ status }) => status === 200)
      ledger.passwords.set(address(winner), `${WORDS} ${winner}`)
      const { rows } = await database.pool().query(`select email from accounts where role = 'admin'`)
      if (rows.length !== 1 || rows[0].email !== address(winner)) misses.push(`${rows.length} administrators were made`)
      return judge(pages, misses)
    }
  },
}

async function use(cluster: Cluster, path: string, fields: (index: number) => Record<string, string>): Promise<Page[]> {
  const browser = cluster.browser(0)
  const page = await browser.open(`${cluster.issuer}${path}`)
  return Promise.all(
    Array.from({ length: USES }, (_, index) => cluster.browser(index, browser.jar).press(page, '', fields(index))),
  )
}

function judge(pages: readonly Page[], misses: string[]) {
  const good = pages.filter(({ status }) => status === 200).length
  const told = pages.filter(({ status }) => status === 410 || status === 429).length
  if (good !== 1) misses.push(`${good} uses of one link succeeded`)
  if (good + told !== USES) misses.push(`answers: ${tally(pages.map(({ status }) => String(status)))}`)
  return { answers: pages, good }
}
