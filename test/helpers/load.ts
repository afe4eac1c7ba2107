// Clients at work on a running server, and a ledger of what they were told: an answer that arrived is a promise.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Browser, createBrowser } from './browser.ts'
import { obtainCode, post, redeem, refresh } from './flow.ts'

/** `asked`: its end was asked for, and without an answer nobody knows whether it came */
export type State = 'live' | 'asked' | 'ended'

/** A refresh family of the public client. */
export interface Chain {
  readonly code: string
  readonly verifier: string
  /** the newest refresh token that arrived */
  head: string
  /** access tokens that arrived */
  readonly access: string[]
  state: State
}

export interface Ledger {
  /** access tokens that belong to no chain */
  readonly tokens: Map<string, State>
  readonly chains: Chain[]
  readonly idTokens: string[]
  /** confidential clients and a secret that they were given; the last one of a client is the one that counts */
  readonly clients: { id: string; secret: string }[]
  /** ids of clients to whom the person has given access */
  readonly consents: string[]
  /** codes that were presented, and no answer came */
  readonly unanswered: { code: string; verifier: string }[]
  /** people and the last password that they were told is theirs */
  readonly passwords: Map<string, string>
}

/** @returns one in which nothing is promised yet */
export function emptyLedger(): Ledger {
  return {
    tokens: new Map(),
    chains: [],
    idTokens: [],
    clients: [],
    consents: [],
    unanswered: [],
    passwords: new Map(),
  }
}

export interface LoadParts {
  readonly issuer: string
  readonly machine: { id: string; secret: string }
  /** the public first-party client */
  readonly app: { id: string }
  /** adds a third-party web client at the command line. @returns its secret */
  readonly register: (id: string) => Promise<string>
  readonly random: () => number
}

/** @returns numbers from 0 to 1 that depend on the seed alone (mulberry32) */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Starts the load. Each worker goes on until a request fails, or `stop` is called.
 * @returns the ledger, which is still being written until `stop` has resolved
 */
export function startLoad(parts: LoadParts, name: string): { ledger: Ledger; stop(): Promise<void> } {
  const ledger = emptyLedger()
  let over = false
  const busy = new Set<Chain>()
  const forever = async (work: () => Promise<void>) => {
    while (!over) await work()
  }
  const browser = createBrowser(parts.issuer)
  const workers = [
    forever(() => issue(parts, ledger)),
    forever(() => revoke(parts, ledger)),
    ...[1, 2].map(() => forever(() => workOnChain(parts, ledger, busy, createBrowser(parts.issuer)))),
    forever(() => register(parts, ledger, `${name}-${ledger.clients.length}`, browser)),
  ]
  const ended = Promise.allSettled(workers)
  return {
    ledger,
    async stop() {
      over = true
      await ended
    },
  }
}

async function issue({ issuer, machine }: LoadParts, { tokens }: Ledger): Promise<void> {
  const { status, body } = await post({ issuer }, '/token', { grant_type: 'client_credentials' }, machine)
  if (status !== 200) throw new Error(`no token: ${status}`)
  tokens.set(body.access_token, 'live')
  await sleep(5)
}

async function revoke({ issuer, machine, random }: LoadParts, { tokens }: Ledger): Promise<void> {
  const live = [...tokens].filter(([, state]) => state === 'live')
  const [token] = live[Math.floor(random() * live.length)] ?? []
  if (token === undefined || live.length < 5) return void (await sleep(10))
  tokens.set(token, 'asked')
  const { status } = await post({ issuer }, '/revoke', { token }, machine)
  if (status !== 200) throw new Error(`not revoked: ${status}`)
  tokens.set(token, 'ended')
  await sleep(10)
}

/** Begins a refresh family, or uses one, or ends one. */
async function workOnChain(parts: LoadParts, ledger: Ledger, busy: Set<Chain>, browser: Browser): Promise<void> {
  const { app, random } = parts
  const free = ledger.chains.filter((one) => one.state === 'live' && !busy.has(one))
  const chain = free[Math.floor(random() * free.length)]
  if (!chain || free.length < 3) return beginChain(parts, ledger, browser)
  busy.add(chain)
  if (random() < 0.1) {
    chain.state = 'asked'
    const { status } = await post(parts, '/revoke', { token: chain.head }, app)
    if (status !== 200) throw new Error(`not revoked: ${status}`)
    chain.state = 'ended'
  } else {
    const { status, body } = await refresh(parts, app, chain.head)
    if (status !== 200) throw new Error(`not refreshed: ${status}`)
    chain.head = body.refresh_token
    chain.access.push(body.access_token)
  }
  busy.delete(chain)
}

async function beginChain(parts: LoadParts, ledger: Ledger, browser: Browser): Promise<void> {
  const got = await obtainCode(parts, parts.app.id, { scope: 'openid things:read' }, browser)
  ledger.unanswered.push(got)
  const { status, body } = await redeem(parts, parts.app, got)
  if (status !== 200) throw new Error(`not redeemed: ${status}`)
  ledger.unanswered.splice(ledger.unanswered.indexOf(got), 1)
  ledger.idTokens.push(body.id_token)
  ledger.chains.push({ ...got, head: body.refresh_token, access: [body.access_token], state: 'live' })
}

/** Adds a client, and the person allows it what it asks for. */
async function register(parts: LoadParts, { clients, consents }: Ledger, id: string, browser: Browser): Promise<void> {
  clients.push({ id, secret: await parts.register(id) })
  await obtainCode(parts, id, { scope: 'openid things:read' }, browser)
  consents.push(id)
}
