import { setTimeout as sleep } from 'node:timers/promises'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { type Browser, createBrowser, type Page } from '../../test/helpers/browser.ts'
import {
  authorizeUrl,
  introspect,
  obtainCode,
  obtainTokens,
  pkce,
  post,
  redeem,
  refresh,
} from '../../test/helpers/flow.ts'
import { checkChain, checkPasswords } from '../../test/helpers/ledger-checks.ts'
import { type Chain, emptyLedger } from '../../test/helpers/load.ts'
import { ORDERS, PASSWORD, TEST_SECRET, THINGS } from '../../test/helpers/server.ts'
import { type RunningCommand, runCommand } from '../command.ts'
import type { Bench, Experiment, Installation } from '../experiment.ts'
import { type Between, type Deed, killBetween } from '../kill-between.ts'
import { startStepProxy } from '../step-proxy.ts'

const NEW_PASSWORD = 'seven grey geese over the marsh'
const app = { id: 'spa' }

/** kill -9 between each pair of storage steps. */
export const r16Steps: Experiment = {
  id: 'R-16',
  title: 'kill -9 between each pair of storage steps',
  size: {
    full: 'before and right after each statement of a redemption, refreshes, a consent, a password link; of commands that rotate a secret, retire a key, set a password',
    quick: 'before and right after each statement of a redemption',
  },
  target: 'each is fully before or fully after, transaction by transaction, and can be done again',
  limit: 40,

  async run(bench) {
    const installation = await bench.install()
    const proxy = await startStepProxy(installation.database.connection)
    bench.after(() => proxy.close())
    const cluster = await installation.start({ processes: 1, warm: 10, env: { DATABASE_URL: proxy.url } })
    const server = {
      victim: () => cluster.nodes[0]!.child,
      recover: () => cluster.restart(0),
    }
    const parts = { ...installation, bench, server, url: proxy.url }
    const browser = createBrowser(installation.issuer)
    await obtainCode(installation, app.id, {}, browser)
    const deeds: readonly Deed<never>[] = [
      redemption(parts, browser),
      ...(bench.quick
        ? []
        : [
            publicRefresh(parts, browser),
            confidentialRefresh(parts, browser),
            consent(parts, browser),
            passwordLink(parts),
            secretRotation(parts),
            passwordCommand(parts),
            keyRetirement(parts),
          ]),
    ] as never
    const found: Between[] = []
    for (const deed of deeds) {
      const between = await killBetween({ proxy, pool: installation.database.pool() }, deed)
      const { before, between: part, after } = between.outcomes
      bench.say(`${deed.name}: ${between.kills} kills; before ${before}, between ${part}, after ${after}`)
      found.push(between)
    }
    const kills = found.reduce((sum, one) => sum + one.kills, 0)
    const sum = (key: 'before' | 'between' | 'after') => found.reduce((total, { outcomes }) => total + outcomes[key], 0)
    return {
      result: `${deeds.length} deeds, ${kills} kills: ${sum('before')} before, ${sum('between')} between two transactions, ${sum('after')} after`,
      misses: found.flatMap(({ misses }) => misses),
    }
  },
}

interface Parts extends Installation {
  readonly bench: Bench
  readonly server: Pick<Deed<unknown>, 'victim' | 'recover'>
  readonly url: string
}

function redemption(parts: Parts, browser: Browser): Deed<{ code: string; verifier: string }> {
  return {
    name: 'redemption of a code',
    ...parts.server,
    prepare: () => obtainCode(parts, app.id, { scope: 'openid things:read' }, browser),
    act: (got) => redeem(parts, app, got),
    async look(got, { there }) {
      const { status, body } = await redeem(parts, app, got)
      if (there === 0 && status === 200) {
        parts.ledger.chains.push({ ...got, head: body.refresh_token, access: [body.access_token], state: 'live' })
        return []
      }
      const said = body.error ?? `${status}`
      return there === 0
        ? [`(b) the code is not good: ${said}`]
        : said === 'invalid_grant'
          ? []
          : [`(b) the code is ${said}`]
    },
  }
}

function publicRefresh(parts: Parts, browser: Browser): Deed<Chain> {
  return {
    name: 'refresh of a public client',
    ...parts.server,
    async prepare() {
      const { body } = await obtainTokens(parts, app, { scope: 'openid things:read' }, browser)
      return { code: '', verifier: '', head: body.refresh_token, access: [body.access_token], state: 'live' }
    },
    act: ({ head }) => refresh(parts, app, head),
    async look(chain) {
      const misses = await checkChain({ ...parts, app }, chain)
      parts.ledger.chains.push(chain)
      return misses
    },
  }
}

function confidentialRefresh(parts: Parts, browser: Browser): Deed<string> {
  const shop = { id: 'shop', secret: parts.cast.shop }
  return {
    name: 'refresh of a confidential client',
    ...parts.server,
    prepare: async () => (await obtainTokens(parts, shop, { scope: 'openid things:read' }, browser)).body.refresh_token,
    act: (token) => refresh(parts, shop, token),
    async look(token) {
      const { status, body } = await refresh(parts, shop, token)
      if (status !== 200 || body.refresh_token !== token) return [`(b) the token is not good any more: ${status}`]
      parts.ledger.tokens.set(body.access_token, 'live')
      return []
    },
  }
}

function consent(parts: Parts, browser: Browser): Deed<{ id: string; page: Page }> {
  let turn = 0
  const ask = (id: string, more = {}) =>
    authorizeUrl(parts, id, pkce().challenge, { scope: 'openid things:read', ...more })
  return {
    name: 'consent',
    ...parts.server,
    async prepare() {
      const id = `asks-${turn++}`
      await parts.home.addClient({ id, scopes: { [THINGS]: ['things:read'] } })
      return { id, page: await browser.open(ask(id)) }
    },
    act: ({ page }) => browser.press(page, 'allow'),
    async look({ id, page }, { there, of }) {
      // The session's new cookie was lost with the last answer: the person signs in again, and is not asked again.
      if (there === of) await obtainCode(parts, app.id, {}, browser)
      const silent = (await browser.open(ask(id, { prompt: 'none' }))).url.searchParams
      if (there === 0 ? silent.get('error') !== 'consent_required' : !silent.has('code')) {
        return [`(a) asked silently: ${silent.get('error') ?? 'a code'}`]
      }
      if (there === 0) {
        const again = await browser.press(page, 'allow')
        if (!again.url.searchParams.has('code')) return [`(b) pressed again: ${again.status} ${again.url.pathname}`]
      }
      parts.ledger.consents.push(id)
      return []
    },
  }
}

function passwordLink(parts: Parts): Deed<{ email: string; browser: Browser; page: Page }> {
  const { accounts } = parts.home.rooms
  let turn = 0
  return {
    name: 'password by a link',
    ...parts.server,
    async prepare() {
      const email = `link-${turn++}@example.com`
      const account = await accounts.add({ email, name: 'Grace' }, 'operator')
      const { token } = await accounts.makeSetPasswordLink(account!.id, 'operator')
      parts.bench.canaries.add(token)
      const browser = createBrowser(parts.issuer)
      return { email, browser, page: await browser.open(`${parts.issuer}/set-password?token=${token}`) }
    },
    act: ({ browser, page }) => browser.press(page, '', { password: NEW_PASSWORD }),
    async look({ email, browser, page }, { there }) {
      const again = await browser.press(page, '', { password: NEW_PASSWORD })
      parts.ledger.passwords.set(email, NEW_PASSWORD)
      const expected = there === 0 ? 200 : 410
      return again.status === expected ? [] : [`(b) the link used again: ${again.status}`]
    },
  }
}

/** A command is killed, not the server, and the server runs on. */
function byCommand(parts: Parts) {
  let running: RunningCommand | undefined
  const env = {
    DATABASE_URL: parts.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    GATEHOUSE_ISSUER: parts.issuer,
    LOG_LEVEL: 'error',
  }
  return {
    victim: () => running?.child,
    recover: async () => undefined,
    run(args: readonly string[], input?: string) {
      running = runCommand(env, args, input)
      return running.answer
    },
  }
}

function secretRotation(parts: Parts): Deed<{ id: string; secret: string }> {
  const { run, ...victim } = byCommand(parts)
  const rotate = (id: string) => run(['client', 'rotate-secret', id])
  let turn = 0
  const knows = async (client: { id: string; secret: string }) =>
    (await introspect(parts, client, 'x')).active === false
  /** A server hears of a change at once, and within a second in any case. */
  const becomes = async (client: { id: string; secret: string }, good: boolean) => {
    const until = performance.now() + 1000
    while ((await knows(client)) !== good && performance.now() < until) await sleep(20)
    return (await knows(client)) === good
  }
  return {
    name: 'rotation of a client secret',
    ...victim,
    async prepare() {
      const id = `rotates-${turn++}`
      return { id, secret: await parts.home.addClient({ id }) }
    },
    act: ({ id }) => rotate(id),
    async look(client, { there }) {
      const misses = (await becomes(client, there === 0)) ? [] : ['(b) the old secret is not as good as it should be']
      const { clients } = (await rotate(client.id)) as { clients: Record<string, { client_secret: string }> }
      const fresh = { id: client.id, secret: clients[client.id]!.client_secret }
      parts.bench.canaries.add(fresh.secret)
      parts.ledger.clients.push(fresh)
      return (await becomes(fresh, true)) ? misses : [...misses, '(b) rotated again, the new secret is not good']
    },
  }
}

function passwordCommand(parts: Parts): Deed<string> {
  const { run, ...victim } = byCommand(parts)
  let turn = 0
  const set = (email: string) => run(['user', 'set-password', email, '--stdin'], NEW_PASSWORD)
  return {
    name: 'password by a command',
    ...victim,
    async prepare() {
      const email = `told-${turn++}@example.com`
      await parts.home.addPerson(email)
      return email
    },
    act: set,
    async look(email, { there }) {
      const passwords = new Map([[email, there === 0 ? PASSWORD : NEW_PASSWORD]])
      return checkPasswords({ ...parts, app }, { ...emptyLedger(), passwords })
    },
  }
}

/** An emergency: the signing key goes, the next one signs, and another one is made. */
function keyRetirement(parts: Parts): Deed<string> {
  const { run, ...victim } = byCommand(parts)
  const keys = async () => (await run(['keys', 'list'])).keys as { kid: string; alg: string; state: string }[]
  const signs = async () => (await keys()).filter(({ alg, state }) => alg === 'ES256' && state === 'active')
  const standsBy = async () => (await keys()).some(({ alg, state }) => alg === 'ES256' && state === 'next')
  return {
    name: 'emergency retirement of a signing key',
    movesKeys: true,
    ...victim,
    async prepare() {
      // A rotation that is refused, because nobody can know the next key yet, makes that key all the same.
      if (!(await standsBy())) await run(['keys', 'rotate']).catch(() => undefined)
      if (!(await standsBy())) throw new Error('no key stands by')
      return (await signs())[0]!.kid
    },
    act: (kid) => run(['keys', 'retire', kid, '--emergency', '--yes']),
    async look(kid, { there }) {
      const now = await signs()
      const misses = now.length === 1 ? [] : [`(b) ${now.length} keys sign`]
      if ((now[0]?.kid === kid) !== (there === 0)) misses.push('(b) the wrong key signs')
      const form = { grant_type: 'client_credentials', resource: ORDERS, scope: 'orders:read' }
      const client = { id: 'billing', secret: parts.cast.billing }
      const { status, body } = await post(parts, '/token', form, client)
      if (status !== 200) return [...misses, `(c) no token: ${status}`]
      const published = createLocalJWKSet((await (await fetch(`${parts.issuer}/jwks`)).json()) as JSONWebKeySet)
      const verified = await jwtVerify(body.access_token, published).catch((error: Error) => error)
      return verified instanceof Error ? [...misses, `(c) a new token does not verify: ${verified.message}`] : misses
    },
  }
}
