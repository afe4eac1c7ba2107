import type { Browser, Page } from '../../test/helpers/browser.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { authorizeUrl, pkce } from '../../test/helpers/flow.ts'
import { PASSWORD, THINGS } from '../../test/helpers/server.ts'
import type { Experiment } from '../experiment.ts'
import { race, tally } from '../race.ts'

const PRESSES = 20
const ADA = { email: 'ada@example.com', password: PASSWORD }

/** “Sign in” and “Allow access” are pressed twenty times at once, in as many tabs. */
export const r04Presses: Experiment = {
  id: 'R-04',
  title: 'sign-in and consent pressed many times at once',
  size: {
    full: `24 sign-ins and 24 consents × ${PRESSES}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms`,
    quick: `2 of each × ${PRESSES}, 2 processes, 0 and 25 ms`,
  },
  target: 'one session, one grant, one code each, no 5xx',

  async run(bench) {
    const installation = await bench.install()
    const { home, cast, ledger, database } = installation
    const count = async (query: string, values: unknown[] = []): Promise<number> =>
      (await database.pool().query(`select count(*)::int as n from ${query}`, values)).rows[0].n
    // Values that a sign-in has replaced leave the table meanwhile.
    const sessionsOf = () => count('sessions where account_id = $1 and expires_at > now()', [cast.ada])
    // As noted by the triggers of the oracle: codes whose time is over leave the table meanwhile.
    const codesMade = () => count(`faults.changes where what = 'code made'`)
    let turn = 0
    return race(bench, installation, 32, async (cluster, misses) => {
      const presses = turn++ % 2 === 0 ? pressSignIn : pressAllow
      return presses(cluster, misses)
    })

    async function pressSignIn(cluster: Cluster, misses: string[]) {
      const browser = cluster.browser(0)
      const page = await browser.open(authorizeUrl(cluster, 'spa', pkce().challenge))
      const before = [await sessionsOf(), await codesMade()]
      const pages = await press(cluster, browser, page, 'sign-in', ADA)
      const after = [await sessionsOf(), await codesMade()]
      const made = after.map((n, index) => n - before[index]!)
      if (String(made) !== '1,1') misses.push(`a sign-in made ${made[0]} sessions and ${made[1]} codes`)
      return judge(pages, misses)
    }

    async function pressAllow(cluster: Cluster, misses: string[]) {
      const id = `eager-${turn}`
      await home.addClient({ id, scopes: { [THINGS]: ['things:read'] } })
      const browser = cluster.browser(0)
      const signIn = await browser.open(authorizeUrl(cluster, id, pkce().challenge, { scope: 'openid things:read' }))
      const page = await browser.press(signIn, 'sign-in', ADA)
      const before = await codesMade()
      const pages = await press(cluster, browser, page, 'allow')
      const made = [
        await count('grants where client_id = $1', [id]),
        (await codesMade()) - before,
        await count(`audit_entries where kind = 'consent.given' and subject = $1`, [id]),
      ]
      if (String(made) !== '1,1,1')
        misses.push(`a consent made ${made[0]} grants, ${made[1]} codes, ${made[2]} entries`)
      ledger.consents.push(id)
      return judge(pages, misses)
    }
  },
}

function press(
  cluster: Cluster,
  { jar }: Browser,
  page: Page,
  button: string,
  fields: Record<string, string> = {},
): Promise<Page[]> {
  return Promise.all(
    Array.from({ length: PRESSES }, (_, index) => cluster.browser(index, jar).press(page, button, fields)),
  )
}

function judge(pages: readonly Page[], misses: string[]) {
  const done = pages.filter(({ left, url }) => left && url.searchParams.has('code'))
  // The others are told that the page is too old, or, when they guess passwords so fast, to wait.
  const told = pages.filter(({ left, status }) => !left && (status === 400 || status === 429))
  if (done.length !== 1) misses.push(`${done.length} presses came to a code`)
  const others = pages.filter((page) => !done.includes(page) && !told.includes(page))
  if (others.length > 0) misses.push(`other answers: ${tally(others.map(({ status }) => String(status)))}`)
  return { answers: pages, good: done.length }
}
