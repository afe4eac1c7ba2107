// The authorization code flow, step by step, as an app and its user go through it.
import { createHash, randomBytes } from 'node:crypto'
import { type Browser, createBrowser, type Page } from './browser.ts'
import { CALLBACK, PASSWORD, type TestServer } from './server.ts'

export interface TokenAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & {
    access_token: string
    refresh_token: string
    id_token: string
    error?: string
    error_description?: string
    scope?: string
  }
}

/** @returns headers of HTTP Basic for a client (RFC 6749 section 2.3.1) */
export function basic(id: string, secret: string): Record<string, string> {
  return {
    authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
  }
}

/** Posts a form to an endpoint. `client` with a secret uses Basic; without, the body's `client_id`. */
export async function post(
  server: Pick<TestServer, 'issuer'>,
  path: string,
  body: Record<string, string | string[]>,
  client?: { id: string; secret?: string },
): Promise<TokenAnswer> {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(body)) for (const one of [value].flat()) form.append(name, one)
  if (client && !client.secret) form.set('client_id', client.id)
  const response = await fetch(`${server.issuer}${path}`, {
    method: 'POST',
    body: form,
    headers: client?.secret ? basic(client.id, client.secret) : {},
  })
  const text = await response.text()
  const json = response.headers.get('content-type')?.includes('json')
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : { text } }
}

/** @returns a PKCE verifier with its S256 challenge (RFC 7636) */
export function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** @returns the address of an authorization request; `params` override or, when undefined, remove */
export function authorizeUrl(
  server: Pick<TestServer, 'issuer'>,
  clientId: string,
  challenge: string,
  params: Record<string, string | undefined> = {},
): URL {
  const url = new URL(`${server.issuer}/authorize`)
  const all: Record<string, string | undefined> = {
    client_id: clientId,
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid',
    state: 'the state',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...params,
  }
  for (const [name, value] of Object.entries(all)) if (value !== undefined) url.searchParams.set(name, value)
  return url
}

/** Signs in and consents wherever a page asks for it. @returns the page (or the address) where that ended */
export async function passPages(browser: Browser, page: Page, email = 'ada@example.com'): Promise<Page> {
  let at = page
  for (let step = 0; step < 4 && !at.left; step++) {
    if (at.html.includes('value="sign-in"')) at = await browser.press(at, 'sign-in', { email, password: PASSWORD })
    else if (at.html.includes('value="allow"')) at = await browser.press(at, 'allow')
    else break
  }
  return at
}

/** Goes through the pages. @returns the code and what it takes to redeem it */
export async function obtainCode(
  server: Pick<TestServer, 'issuer'>,
  clientId: string,
  params: Record<string, string | undefined> = {},
  browser: Browser = createBrowser(server.issuer),
): Promise<{ code: string; verifier: string; browser: Browser; answer: URL }> {
  const { verifier, challenge } = pkce()
  const page = await passPages(browser, await browser.open(authorizeUrl(server, clientId, challenge, params)))
  const code = page.url.searchParams.get('code')
  if (!code) throw new Error(`no code: ${page.status} ${page.url} ${page.html.replace(/<[^>]+>/g, ' ').slice(0, 600)}`)
  return { code, verifier, browser, answer: page.url }
}

/** Redeems a code. */
export function redeem(
  server: Pick<TestServer, 'issuer'>,
  client: { id: string; secret?: string },
  { code, verifier }: { code: string; verifier: string },
  more: Record<string, string> = {},
): Promise<TokenAnswer> {
  return post(
    server,
    '/token',
    { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK, ...more },
    client,
  )
}

/** The whole flow. @returns the token answer and the browser that is signed in now */
export async function obtainTokens(
  server: Pick<TestServer, 'issuer'>,
  client: { id: string; secret?: string },
  params: Record<string, string | undefined> = {},
  browser?: Browser,
): Promise<TokenAnswer & { browser: Browser }> {
  const got = await obtainCode(server, client.id, params, browser)
  const answer = await redeem(server, client, got)
  if (answer.status !== 200) throw new Error(`no tokens: ${JSON.stringify(answer.body)}`)
  return { ...answer, browser: got.browser }
}

/** Uses a refresh token. */
export function refresh(
  server: Pick<TestServer, 'issuer'>,
  client: { id: string; secret?: string },
  token: string,
  more: Record<string, string> = {},
): Promise<TokenAnswer> {
  return post(server, '/token', { grant_type: 'refresh_token', refresh_token: token, ...more }, client)
}

/** @returns what introspection says of a token to this caller */
export async function introspect(
  server: Pick<TestServer, 'issuer'>,
  caller: { id: string; secret?: string },
  token: string,
): Promise<Record<string, unknown>> {
  return (await post(server, '/introspect', { token }, caller)).body
}
