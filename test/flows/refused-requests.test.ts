// A refused request at the token endpoint uses up nothing that the client could only have used once: it may mend its request.
// What must not be used again, whatever the answer, stays used (SECURITY S-061, S-072, S-083, S-119).

import { connect } from 'node:net'
import { createBrowser } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import {
  authorizeUrl,
  introspect,
  obtainCode,
  obtainTokens,
  passPages,
  pkce,
  redeem,
  refresh,
  type TokenAnswer,
} from '../helpers/flow.ts'
import { createProver } from '../helpers/prover.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'
import { createSigner } from '../helpers/signer.ts'
import { until } from '../helpers/until.ts'

const SPA = { id: 'spa' }
const NOT_THIS = { resource: 'https://typo.example' }
const LATER = 11

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let scopes: Record<string, readonly string[]>

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  scopes = (await server.rooms.clients.find('spa'))!.scopes
})
afterAll(() => server.stop())
afterEach(releaseClock)

/** Kinds of audit entries since `from`. */
async function audited(from: string): Promise<string[]> {
  const sql = 'select kind from audit_entries where id > $1 order by id'
  return (await server.database.pool().query<{ kind: string }>(sql, [from])).rows.map(({ kind }) => kind)
}
async function lastEntry(): Promise<string> {
  return (await server.database.pool().query('select max(id) as id from audit_entries')).rows[0].id
}
const told = ({ status, body }: { status: number; body: { error?: string } }) => [status, body.error]

it('S-083 a refresh for a resource that is refused does not rotate: the token is good after the grace window', async () => {
  holdClock()
  const { body } = await obtainTokens(server, SPA, { scope: 'openid orders:read' })
  const from = await lastEntry()
  for (let time = 0; time < 3; time++) {
    expect(told(await refresh(server, SPA, body.refresh_token, NOT_THIS))).toEqual([400, 'invalid_target'])
    passSeconds(LATER)
  }
  expect(await audited(from)).toEqual([])
  const good = await refresh(server, SPA, body.refresh_token)
  expect(good.status).toBe(200)
  expect((await refresh(server, SPA, good.body.refresh_token)).status).toBe(200)
})

it('S-083 a resource is taken from a public client, and given back: nobody is logged out', async () => {
  holdClock()
  const { body } = await obtainTokens(server, SPA, { scope: 'openid orders:read' })
  const change = async (to: Record<string, readonly string[]>) => {
    await server.rooms.clients.change({ ...(await server.rooms.clients.find('spa'))!, scopes: to }, 'operator')
  }
  await change({ [THINGS]: scopes[THINGS]! })
  try {
    expect(told(await refresh(server, SPA, body.refresh_token, { resource: ORDERS }))).toEqual([400, 'invalid_target'])
    passSeconds(LATER)
    expect(told(await refresh(server, SPA, body.refresh_token))).toEqual([400, 'invalid_target'])
    passSeconds(LATER)
  } finally {
    await change(scopes)
  }
  expect((await refresh(server, SPA, body.refresh_token)).status).toBe(200)
})

it('S-062 a code that is redeemed for a refused resource is not used up; used once, it is', async () => {
  const shop = { id: 'shop', secret: cast.shop }
  const got = await obtainCode(server, 'shop', { scope: 'openid orders:read' })
  const from = await lastEntry()
  expect(told(await redeem(server, shop, got, NOT_THIS))).toEqual([400, 'invalid_target'])
  expect(await audited(from)).toEqual([])
  const { status, body } = await redeem(server, shop, got)
  expect(status).toBe(200)
  expect(told(await redeem(server, shop, got))).toEqual([400, 'invalid_grant'])
  expect(told(await refresh(server, shop, body.refresh_token))).toEqual([400, 'invalid_grant'])
})

it('S-084 a refused replay keeps its ending', async () => {
  holdClock()
  const { body } = await obtainTokens(server, SPA)
  const next = await refresh(server, SPA, body.refresh_token)
  passSeconds(LATER)
  const from = await lastEntry()
  expect(told(await refresh(server, SPA, body.refresh_token))).toEqual([400, 'invalid_grant'])
  expect(await audited(from)).toEqual(['family.ended'])
  expect(told(await refresh(server, SPA, next.body.refresh_token))).toEqual([400, 'invalid_grant'])
})

it('S-072 S-119 an assertion and a proof stay used, also where the code beside them does not', async () => {
  const signer = await createSigner(server.issuer, 'signs')
  await server.addClient({ id: 'signs', authMethod: 'private_key_jwt', jwks: signer.jwks as never, scopes })
  const prover = await createProver()
  const { code, verifier } = await obtainCode(server, 'signs', { scope: 'openid orders:read' })
  const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK }
  const fresh = async () => ({
    assertion: await signer.assert(),
    proof: await prover.prove('POST', `${server.issuer}/token`),
  })
  const send = async ({ assertion, proof }: Awaited<ReturnType<typeof fresh>>, more: Record<string, string> = {}) => {
    const body = new URLSearchParams({ ...form, ...assertion, ...more })
    const answer = await fetch(`${server.issuer}/token`, { method: 'POST', body, headers: { DPoP: proof } })
    return { status: answer.status, body: (await answer.json()) as { error?: string } }
  }
  const first = await fresh()
  expect(told(await send(first, NOT_THIS))).toEqual([400, 'invalid_target'])
  expect(told(await send({ ...(await fresh()), assertion: first.assertion }))).toEqual([401, 'invalid_client'])
  expect(told(await send({ ...(await fresh()), proof: first.proof }))).toEqual([400, 'invalid_grant'])
  expect((await send(await fresh())).status).toBe(200)
})

it('S-085 a client that never got the answer asks again and gets the same successor; nobody else gets one', async () => {
  const { body } = await obtainTokens(server, SPA, { scope: 'openid orders:read' })
  await server.addClient({ id: 'another-spa', kind: 'spa', authMethod: 'none', scopes })
  const from = await lastEntry()
  await hangUpOn({ grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: 'spa' })
  await until(async () => (await audited(from)).length > 0)
  expect(await audited(from)).toEqual(['family.rotated'])
  expect(told(await refresh(server, { id: 'another-spa' }, body.refresh_token))).toEqual([400, 'invalid_grant'])
  const retries = [await refresh(server, SPA, body.refresh_token), await refresh(server, SPA, body.refresh_token)]
  expect(retries.map(({ status }) => status)).toEqual([200, 200])
  expect(retries[0]!.body.refresh_token).not.toBe(body.refresh_token)
  expect(retries[1]!.body.refresh_token).toBe(retries[0]!.body.refresh_token)
  expect(await audited(from)).toEqual(['family.rotated'])
  expect((await refresh(server, SPA, retries[0]!.body.refresh_token)).status).toBe(200)
})

/** Sends a token request and is gone before there can be an answer. */
function hangUpOn(form: Record<string, string>): Promise<void> {
  const body = new URLSearchParams(form).toString()
  const { host, port } = new URL(server.issuer)
  const head = `POST /token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n`
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.end(head + body, () => socket.destroy())
  })
}

it.each([
  ['public', 'spa'],
  ['confidential', 'shop'],
])(
  'S-089 %s: a refresh is for a resource of the grant: each of them by name, no other, and it never grows',
  async (_kind, id) => {
    const client = { id, ...(id === 'shop' && { secret: cast.shop }) }
    const aud = async (answer: Promise<TokenAnswer>) => {
      const { status, body } = await answer
      if (body.refresh_token) token = body.refresh_token
      if (status !== 200) return body.error
      const api = { id: 'orders-api', secret: cast.api }
      return (await introspect(server, api, body.access_token)).aud
    }
    let token = (await obtainTokens(server, client, { scope: 'openid orders:read', resource: ORDERS })).body
      .refresh_token
    expect(await aud(refresh(server, client, token, { resource: ORDERS }))).toBe(ORDERS)
    expect(await aud(refresh(server, client, token, { resource: THINGS }))).toBe('invalid_target')
    expect(await aud(refresh(server, client, token, { resource: THINGS, scope: 'things:read' }))).toBe('invalid_scope')
    expect(await aud(refresh(server, client, token))).toBe(ORDERS)

    const { verifier, challenge } = pkce()
    const url = authorizeUrl(server, id, challenge, { scope: 'openid orders:read things:read', resource: ORDERS })
    url.searchParams.append('resource', THINGS)
    const browser = createBrowser(server.issuer)
    const code = (await passPages(browser, await browser.open(url))).url.searchParams.get('code')!
    expect(await aud(redeem(server, client, { code, verifier }, { resource: ORDERS }))).toBe(ORDERS)
    for (const resource of [THINGS, ORDERS])
      expect(await aud(refresh(server, client, token, { resource }))).toBe(resource)
    expect(await aud(refresh(server, client, token, NOT_THIS))).toBe('invalid_target')
    expect(await aud(refresh(server, client, token, { resource: THINGS }))).toBe(THINGS)
  },
)
