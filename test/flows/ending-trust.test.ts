// Every way to end trust, at once and on every node, through the one log (SECURITY group F).
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose'
import { keyOfName } from '../../src/endings/end.ts'
import { createBrowser, formOf } from '../helpers/browser.ts'
import { commandLine } from '../helpers/command-line.ts'
import { authorizeUrl, basic, obtainCode, obtainTokens, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { send } from '../helpers/process.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'
import { untilBlocked } from '../helpers/until.ts'

let server: TestServer
let other: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let gatehouse: ReturnType<typeof commandLine>
const spa = { id: 'spa' }

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  gatehouse = commandLine(server)
  // Another node on the same database.
  other = await startTestServer({ database: server.database, env: { GATEHOUSE_ISSUER: server.issuer } })
})
afterAll(async () => {
  await other?.stop()
  await server?.stop()
})

const sql = async (text: string, values: unknown[] = []) =>
  (await server.database.pool({ max: 1 }).query(text, values)).rows
const invalid = async (answer: Promise<{ status: number; body: { error?: string } }>) => {
  const { status, body } = await answer
  expect([status, body.error]).toEqual([400, 'invalid_grant'])
}
/** On both nodes: what one ended is ended at the other. */
const active = async (token: string) => {
  const headers = { ...basic('orders-api', cast.api), host: new URL(server.issuer).host }
  const said = await Promise.all(
    [server, other].map(async ({ rooms }) => {
      return (await send(rooms.config.port, '/introspect', { form: { token }, headers })).body.active
    }),
  )
  expect(said[0]).toBe(said[1])
  return said[0]
}

let made = 0
/** A person, a confidential app that stays connected, and all it got. */
async function connected() {
  made += 1
  const email = `person-${made}@example.com`
  const account = await server.addPerson(email)
  const id = `app-${made}`
  const scopes = (await server.rooms.clients.find('shop'))!.scopes
  const client = { id, secret: await server.addClient({ id, scopes, refresh: 'offline' }) }
  const browser = await signedIn({ email, client })
  const jwt = await obtainTokens(server, client, { scope: 'openid orders:read' }, browser)
  const opaque = await obtainTokens(server, client, { scope: 'openid things:read' }, browser)
  const code = await obtainCode(server, id, { scope: 'openid' }, browser)
  const machine = await post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS }, client)
  return {
    email,
    account,
    client,
    browser,
    jwt: jwt.body,
    opaque: opaque.body,
    code,
    machine: machine.body.access_token,
  }
}
/** A new browser in which the person has signed in. */
async function signedIn({ email, client }: { email: string; client: { id: string } }) {
  const browser = createBrowser(server.issuer)
  const signIn = await browser.open(authorizeUrl(server, client.id, pkce().challenge, { scope: 'openid' }))
  await browser.press(signIn, 'sign-in', { email, password: PASSWORD })
  return browser
}
type Connected = Awaited<ReturnType<typeof connected>>

async function openOf({ email }: Connected) {
  return (await gatehouse(['user', 'show', email, '--json'])).json as {
    sessions: { id: string; clients: string[] }[]
    grants: { id: string; client_id: string }[]
  }
}

describe('S-090 what was ended is refused at once, on every node, and stays so', () => {
  // By whom it is ended, what of it ends, and which entry of the log tells so.
  const ways: [string, (all: Connected) => Promise<unknown>, { machine: boolean; log: string | RegExp }][] = [
    [
      'user disable',
      ({ email }) => gatehouse(['user', 'disable', email]),
      { machine: true, log: 'account account-disabled' },
    ],
    [
      'user set-password',
      ({ email }) => gatehouse(['user', 'set-password', email, '--stdin'], 'nine amber otters crossing'),
      { machine: true, log: 'account password-changed' },
    ],
    ['revoke --user', ({ email }) => gatehouse(['revoke', '--user', email]), { machine: true, log: 'account revoked' }],
    [
      'revoke --user --client (consent withdrawn)',
      ({ email, client }) => gatehouse(['revoke', '--user', email, '--client', client.id]),
      { machine: true, log: 'grant consent-withdrawn' },
    ],
    [
      'revoke --client',
      ({ client }) => gatehouse(['revoke', '--client', client.id]),
      { machine: false, log: 'client revoked' },
    ],
    [
      'revoke --grant',
      async (all) => {
        for (const { id } of (await openOf(all)).grants) await gatehouse(['revoke', '--grant', id])
      },
      { machine: true, log: 'grant revoked' },
    ],
    [
      'client disable',
      ({ client }) => gatehouse(['client', 'disable', client.id]),
      { machine: false, log: 'client client-disabled' },
    ],
    ['revoke --all', () => gatehouse(['revoke', '--all', '--yes']), { machine: false, log: 'account revoked' }],
  ]

  it.each(ways)('%s', async (_name, end, { machine, log }) => {
    const all = await connected()
    const tokens = [all.jwt.access_token, all.opaque.access_token]
    for (const token of [...tokens, all.machine]) expect(await active(token)).toBe(true)
    const before = new Date()
    await end(all)
    for (const token of tokens) expect(await active(token)).toBe(false)
    expect(await active(all.machine)).toBe(machine)
    if (machine) {
      for (const body of [all.jwt, all.opaque]) await invalid(refresh(server, all.client, body.refresh_token))
      await invalid(redeem(server, all.client, all.code))
    }
    const told = await sql("select kind || ' ' || reason as what from endings where ended_at >= $1", [before])
    expect(told.map(({ what }) => what)).toContainEqual(typeof log === 'string' ? log : expect.stringMatching(log))
    // Enabled again, what was dead stays dead.
    await server.rooms.accounts.enable(all.account, 'operator')
    await server.rooms.clients.enable(all.client.id, 'operator')
    for (const token of tokens) expect(await active(token)).toBe(false)
    for (const body of [all.jwt, all.opaque]) await invalid(refresh(server, all.client, body.refresh_token))
  })

  it('revoke --all is asked about, tells how many, signs everybody out, and is audited person by person and app by app', async () => {
    const all = await connected()
    await expect(gatehouse(['revoke', '--all'])).rejects.toThrow('--yes')
    expect(await active(all.machine)).toBe(true)
    const signingIn = createBrowser(server.issuer)
    const signIn = await signingIn.open(authorizeUrl(server, all.client.id, pkce().challenge, { prompt: 'consent' }))
    // The password was right, and the browser has not followed yet.
    const { target, fields } = formOf(signIn, 'sign-in', { email: all.email, password: PASSWORD })
    const headers = { origin: server.issuer, 'sec-fetch-site': 'same-origin' }
    const followed = await signingIn.request(target, { method: 'POST', body: new URLSearchParams(fields), headers })
    expect(followed.status).toBe(303)
    const before = new Date()
    const { json } = await gatehouse(['revoke', '--all', '--yes', '--json'])
    const [counted] = await sql(
      'select (select count(*)::int from accounts) as accounts, (select count(*)::int from clients) as clients',
    )
    expect(json).toEqual({ revoked: 'everything', ...counted })
    const audited = 'select kind, count(*)::int as n from audit_entries where at >= $1 group by kind order by kind'
    expect(await sql(audited, [before])).toEqual([
      { kind: 'account.revoked', n: counted!.accounts },
      { kind: 'client.revoked', n: counted!.clients },
    ])
    const named = 'select count(*)::int as n from endings where id_hash = any($1)'
    const keys = [keyOfName('account', all.account), keyOfName('client', all.client.id)]
    expect(await sql(named, [keys])).toEqual([{ n: 2 }])
    // Neither the session nor a sign-in on its way goes on.
    const again = await all.browser.open(authorizeUrl(server, all.client.id, pkce().challenge, { prompt: 'none' }))
    expect(again.url.searchParams.get('error')).toBe('login_required')
    const late = await signingIn.open(new URL(followed.headers.get('location')!, server.issuer))
    expect([late.status, late.html.includes('value="allow"')]).toEqual([400, false])
    // Everybody may begin anew.
    expect((await obtainTokens(server, all.client, { scope: 'openid' }, await signedIn(all))).status).toBe(200)
  })

  it('revoke --session and a sign-out end the session and what does not outlive it', async () => {
    const { scopes } = (await server.rooms.clients.find('shop'))!
    for (const way of ['revoke', 'sign out'] as const) {
      const all = await connected()
      const bound = { id: `bound-${made}`, secret: await server.addClient({ id: `bound-${made}`, scopes }) }
      const { body } = await obtainTokens(server, bound, { scope: 'openid orders:read' }, all.browser)
      const [session] = (await openOf(all)).sessions
      expect(session!.clients).toEqual([all.client.id, bound.id].sort())
      if (way === 'revoke') await gatehouse(['revoke', '--session', session!.id])
      else {
        const page = await all.browser.open(
          `${server.issuer}/logout?${new URLSearchParams({ id_token_hint: body.id_token })}`,
        )
        await all.browser.press(page, 'yes')
      }
      expect(await active(body.access_token)).toBe(false)
      await invalid(refresh(server, bound, body.refresh_token))
      // The app that stays connected goes on.
      expect(await active(all.jwt.access_token)).toBe(true)
      expect((await refresh(server, all.client, all.jwt.refresh_token)).status).toBe(200)
      const page = await all.browser.open(authorizeUrl(server, bound.id, pkce().challenge))
      expect(page.html).toContain('value="sign-in"')
      expect((await openOf(all)).sessions).toEqual([])
      expect(
        await sql("select from endings where kind = 'session' and reason = $1", [
          way === 'revoke' ? 'revoked' : 'signed-out',
        ]),
      ).not.toEqual([])
    }
  })

  it('revoke --token ends a token of each form, a refresh token its family', async () => {
    const all = await connected()
    const revoke = (token: string) => gatehouse(['revoke', '--token', '--stdin', '--json'], `${token}\n`)
    expect((await revoke(all.machine)).json).toEqual({ revoked: 'access_token' })
    expect(await active(all.machine)).toBe(false)
    await revoke(all.opaque.access_token)
    expect([await active(all.opaque.access_token), await active(all.jwt.access_token)]).toEqual([false, true])
    expect((await revoke(all.jwt.refresh_token)).json).toEqual({ revoked: 'refresh_family' })
    expect(await active(all.jwt.access_token)).toBe(false)
    await invalid(refresh(server, all.client, all.jwt.refresh_token))
    expect((await refresh(server, all.client, all.opaque.refresh_token)).status).toBe(200)
    await revoke(all.code.code)
    await invalid(redeem(server, all.client, all.code))
    await expect(revoke(all.machine)).rejects.toThrow('over already')
  })

  it('says what is wrong with the command, and takes no token among its arguments', async () => {
    for (const args of [[], ['--token', '--user', 'ada@example.com'], ['--token', 'gth_at_x'], ['--token=gth_at_x']])
      await expect(gatehouse(['revoke', ...args])).rejects.toThrow(/Say what|combined|command line/)
    const jwt = (await connected()).jwt.access_token
    for (const word of ['gth_at_x', jwt])
      await expect(gatehouse(['revoke', '--token', word])).rejects.toThrow('command line')
    await expect(gatehouse(['revoke', jwt])).rejects.toThrow('command line')
    await expect(gatehouse(['revoke', 'ada@example.com'])).rejects.toThrow('Say what "ada@example.com" is')
    await expect(gatehouse(['revoke', '--user', 'ada@example.com', '--stdin'])).rejects.toThrow('goes with --token')
    await expect(gatehouse(['revoke', '--user', 'nobody@example.com'])).rejects.toThrow('no user')
    await expect(gatehouse(['revoke', '--client', 'nobody'])).rejects.toThrow('no client')
    await expect(gatehouse(['revoke', '--grant', 'x'])).rejects.toThrow('no such grant')
    await expect(gatehouse(['revoke', '--session', 'x'])).rejects.toThrow('no such session')
    await expect(gatehouse(['revoke', '--user', 'ada@example.com', '--client', 'billing'])).rejects.toThrow(
      'not allowed',
    )
  })
})

it('S-092 anybody may ask to revoke, 200 is the answer, and only the owner’s word counts', async () => {
  const all = await connected()
  const publicTokens = (await obtainTokens(server, spa, { scope: 'openid orders:read' })).body
  const ask = async (client: { id: string; secret?: string }, token: string, hint = '') => {
    const form = { token, ...(hint && { token_type_hint: hint }) }
    expect((await post(server, '/revoke', form, client)).status).toBe(200)
  }
  for (const token of ['x', 'gth_at_x', 'a.b.c', `${all.jwt.access_token}x`]) await ask(all.client, token)
  for (const token of [all.jwt.access_token, all.opaque.access_token, all.jwt.refresh_token]) {
    await ask({ id: 'shop', secret: cast.shop }, token)
    await ask(spa, token)
  }
  for (const token of [all.jwt.access_token, all.opaque.access_token]) expect(await active(token)).toBe(true)
  expect((await refresh(server, all.client, all.jwt.refresh_token)).status).toBe(200)
  await ask(all.client, all.opaque.access_token, 'refresh_token')
  await ask(spa, publicTokens.access_token)
  for (const token of [all.opaque.access_token, publicTokens.access_token]) expect(await active(token)).toBe(false)
  await ask(spa, publicTokens.refresh_token)
  await invalid(refresh(server, spa, publicTokens.refresh_token))
})

it('S-093 a revoked refresh token takes its access tokens along, an access token nothing', async () => {
  const all = await connected()
  const again = (await refresh(server, all.client, all.jwt.refresh_token)).body
  await post(server, '/revoke', { token: again.access_token }, all.client)
  expect([await active(again.access_token), await active(all.jwt.access_token)]).toEqual([false, true])
  await post(server, '/revoke', { token: all.jwt.refresh_token }, all.client)
  expect([await active(all.jwt.access_token), await active(all.opaque.access_token)]).toEqual([false, true])
})

it.each([
  ['a client that keeps its token', false],
  ['one whose token was replaced a moment ago', true],
])(
  'S-093 no access token of a refresh that was on its way survives the revocation of the family: %s',
  async (_what, isPublic) => {
    const id = `overtaken-${isPublic}`
    const scopes = (await server.rooms.clients.find('shop'))!.scopes
    const shape = isPublic ? ({ kind: 'spa', authMethod: 'none' } as const) : {}
    const client = { id, secret: (await server.addClient({ id, scopes, refresh: 'offline', ...shape })) || undefined }
    const { refresh_token } = (await obtainTokens(server, client, { scope: 'openid things:read' })).body
    expect((await refresh(server, client, refresh_token)).status).toBe(200)
    // The facts about its tokens are to be written anew, and somebody holds them: the refresh has read the family, and waits.
    await sql('update token_facts set expires_at = now()')
    const holder = await server.database.pool({ max: 1 }).connect()
    try {
      await holder.query('begin')
      await holder.query('select from token_facts for update')
      const late = refresh(server, client, refresh_token)
      await untilBlocked(server.database.pool({ max: 1 }), 1)
      expect((await post(server, '/revoke', { token: refresh_token }, client)).status).toBe(200)
      await holder.query('commit')
      const { status, body } = await late
      expect(status === 200 ? await active(body.access_token) : false).toBe(false)
      await invalid(refresh(server, client, refresh_token))
    } finally {
      holder.release(true)
    }
  },
)

it('S-094 a JWT is revoked by its text, at once and on every node; APIs that do not ask wait for its end', async () => {
  const all = await connected()
  expect(await active(all.machine)).toBe(true)
  const since = performance.now()
  await post(server, '/revoke', { token: all.machine }, all.client)
  expect(await active(all.machine)).toBe(false)
  expect(performance.now() - since).toBeLessThan(1000)
  const jwks = (await (await fetch(`${server.issuer}/jwks`)).json()) as JSONWebKeySet
  const { exp } = decodeJwt(all.machine)
  const verifyAt = (seconds: number) =>
    jwtVerify(all.machine, createLocalJWKSet(jwks), { currentDate: new Date(seconds * 1000) }).then(
      () => 'good',
      ({ code }) => code,
    )
  expect([await verifyAt(exp! - 1), await verifyAt(exp!)]).toEqual(['good', 'ERR_JWT_EXPIRED'])
})

it('S-096 what is stored of a refresh token is no refresh token', async () => {
  const { jwt, client } = await connected()
  const rows = await sql('select *, current_hash as hash from refresh_families')
  const text = JSON.stringify(rows)
  expect(text).not.toContain(jwt.refresh_token)
  for (const { hash, family_hash } of rows) {
    expect(hash).toHaveLength(32)
    for (const value of [hash, family_hash, Buffer.concat([family_hash, hash])])
      for (const spelled of [value.toString('base64url'), value.toString('hex')])
        await invalid(refresh(server, client, spelled))
  }
})
