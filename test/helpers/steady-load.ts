// Clients that go on whatever happens: they issue tokens, revoke some and refresh others, note every answer with its time, and
// keep a ledger. Who gets no answer to a refresh tries again with the same token, as clients do.
import { setTimeout as sleep } from 'node:timers/promises'
import { basic } from './flow.ts'
import type { Chain, Ledger } from './load.ts'
import { send } from './process.ts'
import { THINGS } from './server.ts'

export interface SteadyAnswer {
  readonly path: string
  /** when it came, in milliseconds of `performance.now()` */
  readonly at: number
  /** milliseconds that it took */
  readonly ms: number
  /** 0: none, the connection broke */
  readonly status: number
  readonly retryAfter: string | undefined
}

export interface SteadyLoad {
  readonly answers: readonly SteadyAnswer[]
  /** Waits for the requests under way. */
  stop(): Promise<void>
}

const SPA = 'spa'

/**
 * @param ports of the processes, asked in turn
 * @param client a confidential client that may get tokens for THINGS by itself
 * @param ledger gets the tokens that were issued, and those whose revocation was confirmed; its chains are refreshed
 */
export function startSteadyLoad({
  ports,
  issuer,
  client,
  ledger,
  workers = 8,
  pause = 10,
}: {
  ports: readonly number[]
  issuer: string
  client: { id: string; secret: string }
  ledger: Pick<Ledger, 'tokens' | 'chains'>
  workers?: number
  pause?: number
}): SteadyLoad {
  const answers: SteadyAnswer[] = []
  const host = new URL(issuer).host
  const own = { ...basic(client.id, client.secret), host }
  let over = false
  let turn = 0
  const post = async (path: string, form: Record<string, string>, headers: Record<string, string> = own) => {
    const begun = performance.now()
    const answer = await send(ports[turn++ % ports.length]!, path, { form, headers }).catch(() => undefined)
    const at = performance.now()
    const retryAfter = answer?.headers['retry-after'] as string | undefined
    answers.push({ path, at, ms: at - begun, status: answer?.status ?? 0, retryAfter })
    return answer
  }
  const work = async () => {
    for (let count = 0; !over; count += 1) {
      const issued = await post('/token', { grant_type: 'client_credentials', resource: THINGS })
      const token = issued?.body.access_token as string | undefined
      if (issued?.status === 200 && token !== undefined) {
        ledger.tokens.set(token, 'live')
        if (count % 3 === 0) {
          ledger.tokens.set(token, 'asked')
          if ((await post('/revoke', { token }))?.status === 200) ledger.tokens.set(token, 'ended')
        }
      }
      await sleep(pause)
    }
  }
  const refresh = async (chain: Chain) => {
    while (!over) {
      const form = { grant_type: 'refresh_token', refresh_token: chain.head, client_id: SPA }
      const answer = await post('/token', form, { host })
      if (answer?.status === 200) {
        chain.head = answer.body.refresh_token as string
        chain.access.push(answer.body.access_token as string)
      }
      await sleep(10 * pause)
    }
  }
  const running = [...Array.from({ length: workers }, work), ...ledger.chains.map(refresh)]
  return {
    answers,
    async stop() {
      over = true
      await Promise.all(running)
    },
  }
}

/** What a load has seen. */
export interface Seen {
  readonly good: number
  readonly refused: number
  /** milliseconds that the slowest answer took */
  readonly slowest: number
  /** milliseconds that the slowest 503 took */
  readonly slowestRefusal: number
  /** milliseconds from the last good answer before an outage to the first good one after it, the longest such gap */
  readonly longestGap: number
  /** milliseconds from `since` to the first good answer to a request that began after it */
  readonly recovered: number
  /** what must not be: neither good nor a 503 with Retry-After, or slower than `limit` */
  readonly misses: readonly string[]
}

/**
 * @param since when the database was back, in milliseconds of `performance.now()`
 * @param limit milliseconds within which each answer must come
 */
export function look(answers: readonly SteadyAnswer[], since: number, limit = 2000): Seen {
  const good = answers.filter(({ status }) => status === 200)
  const times = good.map(({ at }) => at).sort((a, b) => a - b)
  const odd = answers.filter(({ status, retryAfter }) => status !== 200 && !(status === 503 && retryAfter))
  const slow = answers.filter(({ ms }) => ms > limit)
  return {
    good: good.length,
    refused: answers.filter(({ status }) => status === 503).length,
    slowest: Math.round(Math.max(0, ...answers.map(({ ms }) => ms))),
    slowestRefusal: Math.round(Math.max(0, ...answers.filter(({ status }) => status === 503).map(({ ms }) => ms))),
    longestGap: Math.round(Math.max(0, ...times.map((at, index) => at - (times[index - 1] ?? at)))),
    recovered: Math.round((good.find(({ at, ms }) => at - ms > since)?.at ?? Number.POSITIVE_INFINITY) - since),
    misses: [
      ...(odd.length > 0 ? [`${odd.length} answers are neither 200 nor a 503 with Retry-After: ${tally(odd)}`] : []),
      ...(slow.length > 0 ? [`${slow.length} answers took longer than ${limit} ms: ${tally(slow)}`] : []),
    ],
  }
}

/** @returns such as `12 × /token 200, 2 × /revoke 503` */
function tally(answers: readonly SteadyAnswer[]): string {
  const counts = new Map<string, number>()
  for (const { path, status } of answers) {
    const what = `${path} ${status}`
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  return [...counts].map(([what, count]) => `${count} × ${what}`).join(', ')
}
