import { load } from 'cheerio'
import { LIMITS } from '../../src/throttle/limits.ts'
import { authorizeUrl, pkce } from '../../test/helpers/flow.ts'
import { PASSWORD } from '../../test/helpers/server.ts'
import type { Experiment } from '../experiment.ts'
import { race } from '../race.ts'

const GUESSES = 200
const { burst } = LIMITS.signIn.account

/** Two hundred passwords are tried at once on one account, in every other round with the right one among them. */
export const r08Guesses: Experiment = {
  id: 'R-08',
  title: 'passwords guessed at all nodes at once',
  size: {
    full: `24 accounts × ${GUESSES}, at 1, 2 and 4 processes and 0, 10, 25, 50 ms`,
    quick: `2 accounts × ${GUESSES}, 2 processes, 0 and 25 ms`,
  },
  target: `at most ${burst} wrong passwords looked at, the right one too late, no 5xx`,

  async run(bench) {
    const installation = await bench.install()
    const { home, database } = installation
    let turn = 0
    return race(
      bench,
      installation,
      8,
      async (cluster, misses) => {
        // Each round has a whole network bucket, so that it is the account's that decides.
        await database.pool().query('delete from throttle_buckets')
        const email = `guessed-${turn++}@example.com`
        await home.addPerson(email)
        const browser = cluster.browser(0)
        const page = await browser.open(authorizeUrl(cluster, 'spa', pkce().challenge))
        const csrf = load(page.html)('[name=csrf]').attr('value')!
        const headers = { cookie: await browser.jar.getCookieString(page.url.href), origin: cluster.issuer }
        const guess = (times: number, passwordOf: (index: number) => string) =>
          cluster.fire(times, (index) => ({
            path: page.url.pathname,
            form: { csrf, email, password: passwordOf(index), action: 'sign-in' },
            headers,
          }))
        const among = turn % 2 === 0
        const answers = await guess(GUESSES, (index) =>
          among && index % 50 === 3 ? PASSWORD : `wrong lanterns by the gate ${index}`,
        )
        const count = (status: number) => answers.filter((answer) => answer.status === status).length
        if (count(401) > burst) misses.push(`${count(401)} wrong passwords were looked at`)
        if (among) return { answers, good: count(303) }
        if (count(401) !== burst || count(429) !== GUESSES - burst)
          misses.push(`${count(401)} were looked at and ${count(429)} refused`)
        const late = await guess(8, () => PASSWORD)
        const first = late.find(({ status }) => status !== 429)
        if (first) misses.push(`the right password came too late and was answered ${first.status}`)
        return { answers: [...answers, ...late], good: count(401) }
      },
      { GATEHOUSE_PROFILE: '' },
    )
  },
}
