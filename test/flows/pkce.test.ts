// PKCE: for everybody, by S256 alone (SECURITY S-047 to S-051, RFC 7636).
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, pkce, post, redeem } from '../helpers/flow.ts'
import { addCast, CALLBACK, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
const shop = () => ({ id: 'shop', secret: cast.shop })

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  await server.addClient({ id: 'web' })
  await server.addClient({ id: 'ours', firstParty: true })
  await server.addClient({ id: 'native', kind: 'native', authMethod: 'none' })
  await server.addClient({ id: 'agent', kind: 'agent', authMethod: 'none' })
  await server.addClient({ id: 'secret-agent', kind: 'agent' })
})
afterAll(() => server.stop())

/** Asks for a code, signed out. @returns what the app is told */
async function errorOf(clientId: string, params: Record<string, string | undefined>): Promise<string | null> {
  const answer = await createBrowser(server.issuer).request(authorizeUrl(server, clientId, pkce().challenge, params))
  const said = new URL(answer.headers.get('location') ?? 'http://nowhere', server.issuer).searchParams
  return said.get('code') ?? said.get('error')
}

it.each(['web', 'ours', 'spa', 'native', 'agent', 'secret-agent'])(
  'S-047 S-049 %s needs a challenge, by S256',
  async (client) => {
    for (const params of [
      { code_challenge: undefined },
      { code_challenge: undefined, code_challenge_method: undefined },
      { code_challenge: '' },
      { code_challenge_method: 'plain' },
      { code_challenge_method: undefined }, // which means plain
      { code_challenge_method: 's256' },
      { code_challenge_method: 'S512' },
    ])
      expect([params, await errorOf(client, params)]).toEqual([params, 'invalid_request'])
  },
)

it('S-047 metadata names S256 alone', async () => {
  const metadata = (await (await fetch(`${server.issuer}/.well-known/openid-configuration`)).json()) as object
  expect(metadata).toMatchObject({ code_challenge_methods_supported: ['S256'] })
})

it.each(['shop', 'spa'])('S-048 %s: a code without its verifier is worth nothing', async (id) => {
  const client = id === 'shop' ? shop() : { id }
  const got = await obtainCode(server, id)
  for (const answer of [
    await redeem(server, client, { ...got, verifier: '' }),
    await post(server, '/token', { grant_type: 'authorization_code', code: got.code, redirect_uri: CALLBACK }, client),
  ])
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant'])
  expect((await redeem(server, client, got)).status).toBe(200)
})

it('S-049 a verifier for a code that was asked for without a challenge is refused', async () => {
  const got = await obtainCode(server, 'shop')
  // No client is exempt, so such a code exists only if somebody makes one: here, by hand.
  const made = await server.database.pool().query(
    `update authorization_codes set payload = payload - 'codeChallenge' - 'codeChallengeMethod'
     where consumed_at is null and payload ->> 'clientId' = 'shop'`,
  )
  expect(made.rowCount).toBeGreaterThan(0)
  expect((await redeem(server, shop(), got)).body.error).toBe('invalid_grant')
})

it('S-050 a wrong, short, long or malformed verifier is refused; five of them do not use up the code', async () => {
  const got = await obtainCode(server, 'shop', { scope: 'openid orders:read' })
  const { verifier } = got
  for (const wrong of [
    pkce().verifier,
    verifier.slice(0, 42),
    `${verifier.slice(0, 42)}=`,
    `${verifier} `,
    verifier.toUpperCase(),
    pkce().challenge,
    'x'.repeat(129),
    `${verifier.slice(0, 42)}ä`,
  ]) {
    const answer = await redeem(server, shop(), { ...got, verifier: wrong })
    expect([wrong, answer.status, answer.body.error]).toEqual([wrong, 400, 'invalid_grant'])
  }
  const right = await redeem(server, shop(), got)
  expect(right.status).toBe(200)
  // Used up now: even the right verifier ends what came from it.
  expect((await redeem(server, shop(), got)).body.error).toBe('invalid_grant')
  expect(await introspect(server, shop(), right.body.access_token)).toEqual({ active: false })
})

it('S-051 a challenge is 43 base64url characters', async () => {
  const { challenge } = pkce()
  for (const bad of [
    challenge.slice(0, 42),
    `${challenge}A`,
    `${challenge}=`,
    `${challenge.slice(0, 42)}=`,
    `${challenge.slice(0, 42)}+`,
    `${challenge.slice(0, 42)}/`,
    `${challenge.slice(0, 42)}.`,
    `${challenge.slice(0, 42)}~`,
    `${challenge} `,
    'x'.repeat(128),
  ])
    expect([bad, await errorOf('shop', { code_challenge: bad })]).toEqual([bad, 'invalid_request'])
  expect(await errorOf('shop', { code_challenge: challenge, prompt: 'none' })).toBe('login_required')
})
