// Holds a running server to what a ledger says that people and clients were told. Each check returns what does not hold.
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { createBrowser } from './browser.ts'
import { authorizeUrl, introspect, passPages, pkce, redeem, refresh } from './flow.ts'
import type { Chain, Ledger } from './load.ts'

export interface Asked {
  readonly issuer: string
  /** the public client of the chains */
  readonly app: { id: string }
  /** may introspect every token of the ledger */
  readonly api: { id: string; secret: string }
  /** whose consents and codes they are */
  readonly email?: string
}

type Misses = string[]

/** Everything that can be asked again and again without changing anything. */
export async function checkStanding(asked: Asked, ledger: Ledger): Promise<Misses> {
  return [
    ...(await checkTokens(asked, ledger)),
    ...(await checkClients(asked, ledger)),
    ...(await checkConsents(asked, ledger)),
    ...(await checkIdTokens(asked, ledger)),
    ...(await checkPasswords(asked, ledger)),
  ]
}

/** Tokens are as alive as their holders were told, and what is accepted verifies against the keys of this moment. */
export async function checkTokens(asked: Asked, { tokens, chains }: Ledger): Promise<Misses> {
  const misses: Misses = []
  const keys = await currentKeys(asked)
  const all = [
    ...tokens,
    ...chains.flatMap(({ access, state }) => access.map((token) => [token, state] as const)),
  ].filter(([, state]) => state !== 'asked')
  for (const [index, [token, state]] of all.entries()) {
    const { active } = await introspect(asked, asked.api, token)
    if (active !== (state === 'live'))
      misses.push(`(a) access token ${index} of ${all.length} is ${active}, not ${state}`)
    if (active && token.split('.').length === 3) {
      const verified = await jwtVerify(token, keys, { issuer: asked.issuer }).catch((error: Error) => error)
      if (verified instanceof Error)
        misses.push(`(c) accepted access token ${index} does not verify: ${verified.message}`)
    }
  }
  return misses
}

/** Each family has one head: the newest token that arrived, or the one successor that it leads to, however often. */
export async function checkChain(asked: Asked, chain: Chain): Promise<Misses> {
  const first = await refresh(asked, asked.app, chain.head)
  const said = `${first.status} ${first.body.error ?? ''}`
  if (chain.state === 'asked') return []
  if (chain.state === 'ended') return said === '400 invalid_grant' ? [] : [`(a) an ended family answers ${said}`]
  if (first.status !== 200) return [`(a) the head of a living family answers ${said}`]
  const again = await refresh(asked, asked.app, chain.head)
  if (again.status !== 200) return [`(b) a repeated refresh answers ${again.status} ${again.body.error ?? ''}`]
  if (again.body.refresh_token !== first.body.refresh_token) return ['(b) a family has two heads']
  chain.head = first.body.refresh_token
  chain.access.push(first.body.access_token, again.body.access_token)
  return []
}

/** A code is good once: for nothing after an answer, for one answer at most without. A replay ends the family. */
export async function checkCodes(asked: Asked, { chains, unanswered }: Ledger): Promise<Misses> {
  const misses: Misses = []
  for (const got of unanswered) {
    const { status } = await redeem(asked, asked.app, got)
    if (![200, 400].includes(status)) misses.push(`(b) a code without an answer: ${status}`)
    const { body } = await redeem(asked, asked.app, got)
    if (body.error !== 'invalid_grant') misses.push(`(b) a code was good twice: ${body.error}`)
  }
  const chain = chains.find(({ state }) => state === 'live')
  if (!chain) return misses
  const replayed = await redeem(asked, asked.app, chain)
  if (replayed.body.error !== 'invalid_grant') misses.push(`(b) a redeemed code: ${replayed.status}`)
  chain.state = 'ended'
  return [...misses, ...(await checkChain(asked, chain))]
}

/** Clients are there with their newest secrets. */
async function checkClients(asked: Asked, { clients }: Ledger): Promise<Misses> {
  const misses: Misses = []
  for (const [id, secret] of new Map(clients.map(({ id, secret }) => [id, secret]))) {
    const { active } = await introspect(asked, { id, secret }, 'x')
    if (active !== false) misses.push(`(a) the client ${id} is not let in with its secret`)
  }
  return misses
}

/** Whom the person has allowed is not asked about again. */
async function checkConsents(asked: Asked, { consents }: Ledger): Promise<Misses> {
  if (consents.length === 0) return []
  const browser = createBrowser(asked.issuer)
  const email = asked.email ?? 'ada@example.com'
  await passPages(browser, await browser.open(authorizeUrl(asked, asked.app.id, pkce().challenge)), email)
  const misses: Misses = []
  for (const id of consents) {
    const silent = { scope: 'openid things:read', prompt: 'none' }
    const { url } = await browser.open(authorizeUrl(asked, id, pkce().challenge, silent))
    if (!url.searchParams.has('code')) {
      misses.push(`(a) the consent to ${id} is not remembered: ${url.searchParams.get('error')}`)
    }
  }
  return misses
}

/** ID tokens verify against the keys of this moment. */
async function checkIdTokens(asked: Asked, { idTokens }: Ledger): Promise<Misses> {
  const misses: Misses = []
  const keys = await currentKeys(asked)
  for (const token of idTokens) {
    const verified = await jwtVerify(token, keys, { issuer: asked.issuer }).catch((error: Error) => error)
    if (verified instanceof Error) misses.push(`(c) an ID token does not verify: ${verified.message}`)
  }
  return misses
}

/** People get in with the password that they were told is theirs. */
export async function checkPasswords(asked: Asked, { passwords }: Ledger): Promise<Misses> {
  const misses: Misses = []
  for (const [email, password] of passwords) {
    const browser = createBrowser(asked.issuer)
    const page = await browser.open(authorizeUrl(asked, asked.app.id, pkce().challenge))
    const done = await browser.press(page, 'sign-in', { email, password })
    if (!done.left) misses.push(`(a) ${email} is not let in with the password that was acknowledged`)
  }
  return misses
}

async function currentKeys({ issuer }: Asked) {
  return createLocalJWKSet((await (await fetch(`${issuer}/jwks`)).json()) as JSONWebKeySet)
}
