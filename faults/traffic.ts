// What people, apps and services do all day, through whatever leads to the servers. An answer that is not the right one is a
// failure; nobody tries again.
import { setTimeout as sleep } from 'node:timers/promises'
import { createBrowser } from '../test/helpers/browser.ts'
import { fetchBy, type Shot } from '../test/helpers/cluster.ts'
import { authorizeUrl, basic, passPages, pkce } from '../test/helpers/flow.ts'
import type { Ledger } from '../test/helpers/load.ts'
import type { RawAnswer } from '../test/helpers/process.ts'
import { CALLBACK, THINGS } from '../test/helpers/server.ts'
import type { Canaries } from './canaries.ts'
import type { Cast } from './experiment.ts'

export interface TrafficParts {
  readonly issuer: string
  /** sends a request to whoever leads to the servers */
  readonly send: (path: string, shot: Omit<Shot, 'path'>) => Promise<RawAnswer>
  readonly cast: Cast
  /** gets the tokens that were issued, those whose revocation was confirmed, and each person's refresh family */
  readonly ledger: Ledger
  readonly canaries: Canaries
  readonly people: number
  readonly services: number
}

export interface Traffic {
  /** right answers by what was asked */
  readonly good: ReadonlyMap<string, number>
  readonly failures: readonly string[]
  /** milliseconds of the slowest answer */
  readonly slowest: () => number
  /** Waits for the requests under way. */
  stop(): Promise<void>
}

const SCOPES = { scope: 'openid things:read', resource: THINGS }
/** Milliseconds between two requests of one person or service. */
const PAUSE = 20

/** @returns when everybody has signed in and is at work */
export async function startTraffic(parts: TrafficParts): Promise<Traffic> {
  const { issuer, cast, ledger, canaries } = parts
  const { host } = new URL(issuer)
  const good = new Map<string, number>()
  const failures: string[] = []
  let slowest = 0
  let over = false

  const send = async (path: string, shot: Omit<Shot, 'path'>) => {
    const begun = performance.now()
    const answer = await parts.send(path, { ...shot, headers: { ...shot.headers, host } })
    slowest = Math.max(slowest, performance.now() - begun)
    canaries.learn(shot, answer)
    return answer
  }
  /** @returns what `ask` gets when `holds` is true of it, otherwise it is a failure */
  async function right<T extends { status: number }>(
    what: string,
    ask: () => Promise<T>,
    holds: (answer: T) => boolean,
  ): Promise<T | undefined> {
    const answer = await ask().catch(describe)
    if (typeof answer !== 'string' && holds(answer)) {
      good.set(what, (good.get(what) ?? 0) + 1)
      await sleep(PAUSE)
      return answer
    }
    failures.push(`${what}: ${typeof answer === 'string' ? answer : `${answer.status} ${wordsOf(answer)}`}`)
    await sleep(PAUSE)
    return undefined
  }
  const post = (what: string, path: string, form: Record<string, string>, client?: [id: string, secret: string]) =>
    right(
      what,
      () => send(path, { form: client ? form : { ...form, client_id: 'spa' }, headers: client && basic(...client) }),
      (answer) => answer.status === 200 && (path !== '/introspect' || answer.body.active === true),
    )
  const introspect = (token: string) => post('introspect', '/introspect', { token }, ['orders-api', cast.api])

  async function serve(): Promise<void> {
    for (let turn = 0; !over; turn += 1) {
      const issued = await post('token', '/token', { grant_type: 'client_credentials', resource: THINGS }, [
        'shop',
        cast.shop,
      ])
      if (!issued) continue
      const token = String(issued.body.access_token)
      ledger.tokens.set(token, 'live')
      await introspect(token)
      if (turn % 4 > 0) continue
      ledger.tokens.set(token, 'asked')
      if (await post('revoke', '/revoke', { token }, ['shop', cast.shop])) ledger.tokens.set(token, 'ended')
    }
  }

  async function begin() {
    const browser = createBrowser(issuer, { send: fetchBy(send) })
    const { verifier, challenge } = pkce()
    const page = await passPages(browser, await browser.open(authorizeUrl({ issuer }, 'spa', challenge, SCOPES)))
    const tokens = await redeem(page.url.searchParams.get('code') ?? '', verifier)
    if (!tokens) throw new Error(`nobody could sign in: ${page.status} ${page.url.pathname}; ${failures.join('; ')}`)
    const { refresh_token: head, access_token: access } = tokens.body
    const chain = { code: '', verifier: '', head: String(head), access: [String(access)], state: 'live' as const }
    ledger.chains.push(chain)
    return { browser, chain }
  }
  const redeem = (code: string, verifier: string) =>
    post('redeem', '/token', {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: CALLBACK,
    })

  async function live({ browser, chain }: Awaited<ReturnType<typeof begin>>): Promise<void> {
    while (!over) {
      const { verifier, challenge } = pkce()
      const silent = authorizeUrl({ issuer }, 'spa', challenge, { ...SCOPES, prompt: 'none' })
      const page = await right(
        'authorize',
        () => browser.open(silent),
        ({ url }) => url.searchParams.has('code'),
      )
      const tokens = page && (await redeem(page.url.searchParams.get('code')!, verifier))
      if (tokens) ledger.tokens.set(String(tokens.body.access_token), 'live')
      const refreshed = await post('refresh', '/token', { grant_type: 'refresh_token', refresh_token: chain.head })
      if (refreshed) {
        chain.head = String(refreshed.body.refresh_token)
        chain.access.push(String(refreshed.body.access_token))
        await introspect(chain.access.at(-1)!)
      }
      // Somebody else at the same browser is shown the page, and goes away again.
      const again = authorizeUrl({ issuer }, 'spa', challenge, { ...SCOPES, prompt: 'login' })
      await right(
        'page',
        () => createBrowser(issuer, { send: fetchBy(send) }).open(again),
        ({ status, html }) => status === 200 && html.includes('value="sign-in"'),
      )
      await right(
        'keys',
        () => send('/jwks', {}),
        ({ status, body }) => status === 200 && Array.isArray(body.keys),
      )
    }
  }

  const people = await Promise.all(Array.from({ length: parts.people }, begin))
  const work = [...people.map(live), ...Array.from({ length: parts.services }, serve)]
  return {
    good,
    failures,
    slowest: () => Math.round(slowest),
    async stop() {
      over = true
      await Promise.all(work)
    },
  }
}

/** @returns what an answer says beside its status: an error of OAuth, or whether a load balancer gave it */
function wordsOf(answer: object): string {
  const { body = {}, headers } = answer as Partial<RawAnswer>
  return [body.error, body.error_description, headers?.['x-balancer'], headers?.server].filter(Boolean).join(', ')
}

function describe(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message
}
