// Requests that a server refuses, of every sort that strangers, mistaken clients and broken networks send.
import { randomBytes, randomUUID } from 'node:crypto'
import type { Agent } from 'node:http'
import { connect } from 'node:net'
import { load } from 'cheerio'
import type { Cluster } from '../test/helpers/cluster.ts'
import { authorizeUrl, basic, obtainCode, pkce, redeem } from '../test/helpers/flow.ts'
import { send } from '../test/helpers/process.ts'
import { createProver } from '../test/helpers/prover.ts'
import { CALLBACK, ORDERS } from '../test/helpers/server.ts'
import { createSigner } from '../test/helpers/signer.ts'
import type { Installation } from './experiment.ts'

/** One sort: sends a request. @returns the status; 0 where the connection ended without an answer, as it should */
export type Failing = (turn: number, agent: Agent) => Promise<number>

export interface Sort {
  readonly name: string
  /** what it may be answered with */
  readonly statuses: readonly number[]
  readonly send: Failing
}

const MACHINE = { grant_type: 'client_credentials', resource: ORDERS }
const LARGE = 'x'.repeat(80 * 1024)
/** Milliseconds for which a code can be asked about again. */
const CODE_LASTS = 40_000

/** @returns every sort; a request of one has its own random values where a real one would */
export async function failingRequests({ home, cast, issuer }: Installation, cluster: Cluster): Promise<Sort[]> {
  const { port } = cluster.nodes[0]!
  const host = new URL(issuer).host
  const signer = await createSigner(issuer, 'signs')
  await home.addClient({ id: 'signs', authMethod: 'private_key_jwt', jwks: signer.jwks })
  const prover = await createProver()
  const shop = basic('shop', cast.shop)
  const billing = basic('billing', cast.billing)
  const { browser, ...used } = await obtainCode(cluster, 'spa')
  await redeem(cluster, { id: 'spa' }, used)
  const fresh = lasting(CODE_LASTS, () => obtainCode(cluster, 'spa', {}, browser))
  const proof = lasting(10_000, () => prover.prove('POST', `${issuer}/elsewhere`))
  const stranger = cluster.browser(0)
  const page = await stranger.open(authorizeUrl(cluster, 'spa', pkce().challenge))
  const csrf = load(page.html)('[name=csrf]').attr('value')!
  const form = { cookie: await stranger.jar.getCookieString(page.url.href), origin: issuer }

  const post =
    (path: string, body: (turn: number) => Form | Promise<Form>, headers: Headers = {}): Failing =>
    async (turn, agent) =>
      (await send(port, path, { form: await body(turn), agent, headers: { host, ...(await headersOf(headers)) } }))
        .status
  const get =
    (path: (turn: number) => string, headers: Headers = {}): Failing =>
    async (turn, agent) =>
      (await send(port, path(turn), { agent, headers: { host, ...(await headersOf(headers)) } })).status
  const authorize = (params: () => Record<string, string | undefined>, headers: Headers = {}) =>
    get(() => {
      const { pathname, search } = authorizeUrl(cluster, 'spa', pkce().challenge, params())
      return `${pathname}${search}`
    }, headers)
  const redeemed = (code: string, verifier: string) => ({
    grant_type: 'authorization_code',
    client_id: 'spa',
    redirect_uri: CALLBACK,
    code,
    code_verifier: verifier,
  })

  return [
    sort(
      'wrong client secret',
      [401],
      post(
        '/token',
        () => MACHINE,
        () => basic('billing', opaque('cs')),
      ),
    ),
    sort(
      'unknown client',
      [401],
      post(
        '/token',
        () => MACHINE,
        () => basic(randomUUID(), opaque('cs')),
      ),
    ),
    sort(
      'unknown code',
      [400],
      post('/token', () => redeemed(opaque('ac'), pkce().verifier)),
    ),
    sort(
      'used code',
      [400],
      post('/token', () => redeemed(used.code, used.verifier)),
    ),
    sort(
      'wrong PKCE verifier',
      [400],
      post('/token', async () => redeemed((await fresh()).code, pkce().verifier)),
    ),
    sort(
      'no PKCE challenge',
      [303],
      authorize(() => ({ code_challenge: undefined })),
    ),
    sort(
      'unknown refresh token',
      [400],
      post('/token', () => ({ grant_type: 'refresh_token', client_id: 'spa', refresh_token: opaque('rt') })),
    ),
    sort(
      'DPoP proof for another address',
      [400],
      post(
        '/token',
        () => MACHINE,
        async () => ({ ...billing, dpop: await proof() }),
      ),
    ),
    sort(
      'malformed assertion',
      [400],
      post('/token', async () => ({
        ...MACHINE,
        ...(await signer.assert()),
        client_assertion: `e30.${opaque('at')}.x`,
      })),
    ),
    sort(
      'assertion of an unknown key',
      [401],
      post('/token', async () => ({ ...MACHINE, ...(await signer.assert({}, { header: { kid: randomUUID() } })) })),
    ),
    sort(
      'body too large',
      [400],
      post('/token', () => ({ ...MACHINE, scope: LARGE }), billing),
    ),
    sort(
      'wrong method',
      [404, 405],
      async (_turn, agent) => (await send(port, '/token', { method: 'DELETE', agent, headers: { host } })).status,
    ),
    sort(
      'no such page',
      [404],
      get(() => `/${randomUUID()}/${randomUUID()}`),
    ),
    sort(
      'redirect URI that is not registered',
      [400],
      authorize(() => ({ redirect_uri: `https://${randomUUID()}.example.com/` })),
    ),
    sort(
      'request object',
      [303, 400],
      authorize(() => ({ request: `e30.${opaque('at')}.` })),
    ),
    sort(
      'unknown pushed request',
      [303, 400],
      authorize(() => ({ request_uri: `urn:ietf:params:oauth:request_uri:${opaque('')}` })),
    ),
    sort(
      'pushed request without PKCE',
      [400],
      post(
        '/par',
        () => ({
          client_id: 'shop',
          response_type: 'code',
          redirect_uri: CALLBACK,
          scope: 'openid',
          state: randomUUID(),
        }),
        shop,
      ),
    ),
    sort(
      'wrong password',
      [401, 429],
      post(
        page.url.pathname,
        (turn) => ({ csrf, email: `stranger-${turn % 500}@example.com`, password: opaque(''), action: 'sign-in' }),
        form,
      ),
    ),
    sort(
      'wrong CSRF token',
      [400, 403],
      post(
        page.url.pathname,
        () => ({ csrf: opaque(''), email: 'ada@example.com', password: opaque(''), action: 'sign-in' }),
        form,
      ),
    ),
    sort(
      'introspection by somebody without right',
      [200],
      post('/introspect', () => ({ token: opaque('at') }), basic('other-api', cast.stranger)),
    ),
    sort(
      'revocation of an unknown token',
      [200],
      post('/revoke', () => ({ token: opaque('rt') }), shop),
    ),
    sort(
      'userinfo with an unknown token',
      [401],
      get(
        () => '/userinfo',
        () => ({ authorization: `Bearer ${opaque('at')}` }),
      ),
    ),
    sort(
      'another host',
      [400, 404, 421],
      get(
        () => '/authorize',
        () => ({ host: `${randomUUID()}.example.com` }),
      ),
    ),
    sort('no HTTP', [0, 400], () => talk(port, `GARBAGE ${randomUUID()}\r\n\r\n`, true)),
    // Some are quicker than the cut.
    sort('connection cut while the answer is made', [0, 400], () => {
      const form = new URLSearchParams(redeemed(opaque('ac'), pkce().verifier))
      return talk(port, tokenRequest(host, String(form)), false)
    }),
    sort('connection cut inside the body', [0], () => talk(port, tokenRequest(host, 'grant_type=', 500), false)),
  ]
}

type Form = Record<string, string>
type Headers = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)

function sort(name: string, statuses: readonly number[], send: Failing): Sort {
  return { name, statuses, send }
}

const headersOf = async (headers: Headers) => (typeof headers === 'function' ? headers() : headers)

/** @returns what looks like a value of ours */
function opaque(kind: string): string {
  const value = randomBytes(32).toString('base64url')
  return kind ? `gth_${kind}_${value}` : value
}

/** @returns a function that makes something when it is first needed, and again when it is too old */
function lasting<T>(milliseconds: number, make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  let until = 0
  return () => {
    if (!made || performance.now() > until) {
      made = make()
      until = performance.now() + milliseconds
    }
    return made
  }
}

function tokenRequest(host: string, body: string, length = body.length): string {
  return `POST /token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${length}\r\n\r\n${body}`
}

/** Says something on a connection of its own, and cuts it, at once or when it was answered. */
function talk(port: number, text: string, listen: boolean): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let heard = ''
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(heard)?.[1] ?? 0)))
    socket.on('data', (data) => {
      heard += data
    })
    socket.write(text, () => {
      if (!listen) setTimeout(() => socket.resetAndDestroy(), 1)
    })
  })
}
