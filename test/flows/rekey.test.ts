// The keys in the ring change under two processes: what was made before stays what it was, ended or alive; and when the old
// keys are dropped, what hangs on them has ended.
import type { JWTPayload } from 'jose'
import { decodeJwt } from 'jose'
import type { CookieJar } from 'tough-cookie'
import type { Browser, Page } from '../helpers/browser.ts'
import { type Cluster, startCluster } from '../helpers/cluster.ts'
import { authorizeUrl, basic, obtainCode, passPages, pkce } from '../helpers/flow.ts'
import { type CommandRun, type RawAnswer, runCommand, send } from '../helpers/process.ts'
import {
  addCast,
  CALLBACK,
  freePort,
  ORDERS,
  startTestServer,
  TEST_SECRET,
  type TestServer,
  THINGS,
} from '../helpers/server.ts'
import { createSigner, type Signer } from '../helpers/signer.ts'

const NEW_PASSWORD = 'nine slow barges under the bridge'
let home: TestServer
let cluster: Cluster
let cast: Awaited<ReturnType<typeof addCast>>
let signer: Signer
let issuer: string

beforeAll(async () => {
  const ports = [await freePort(), await freePort()]
  issuer = `http://localhost:${ports[0]}`
  home = await startTestServer({ env: { GATEHOUSE_ISSUER: issuer } })
  cast = await addCast(home)
  signer = await createSigner(issuer, 'signer')
  await home.addClient({
    id: 'signer',
    kind: 'agent',
    authMethod: 'private_key_jwt',
    jwks: signer.jwks,
    refresh: 'offline',
  })
  cluster = await startCluster({
    database: home.database,
    ports,
    api: { id: 'orders-api', secret: cast.api },
    warm: 10,
  })
})
afterAll(async () => {
  await cluster?.stop()
  await home?.stop()
})

const rekey = (...args: string[]): Promise<CommandRun> =>
  runCommand({ DATABASE_URL: home.database.url, GATEHOUSE_SECRET: TEST_SECRET }, ['rekey', ...args])

/** Posts a form to one of the two processes. */
const ask = (node: number, path: string, form: Record<string, string>, client?: [id: string, secret: string]) =>
  send(cluster.nodes[node]!.port, path, {
    form,
    headers: { host: new URL(issuer).host, ...(client && basic(...client)) },
  })

const spa = { client_id: 'spa' }
const redeemAt = (node: number, { code, verifier }: { code: string; verifier: string }) =>
  ask(node, '/token', {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: CALLBACK,
    ...spa,
  })
const refreshAt = (node: number, token: unknown) =>
  ask(node, '/token', { grant_type: 'refresh_token', refresh_token: String(token), ...spa })
const isActive = async (node: number, token: unknown) =>
  (await ask(node, '/introspect', { token: String(token) }, ['orders-api', cast.api])).body.active
const revokeAt = (node: number, token: unknown) => ask(node, '/revoke', { token: String(token), ...spa })
const getCode = (browser: Browser, scope = `openid orders:read`, resource = ORDERS) =>
  obtainCode({ issuer }, 'spa', { scope, resource }, browser)

/** Asks for a code without a page. @returns whether the person is signed in there */
async function isSignedIn(node: number, jar: CookieJar): Promise<boolean> {
  const url = authorizeUrl({ issuer }, 'spa', pkce().challenge, { prompt: 'none' })
  const page = await cluster.browser(node, jar).open(url)
  return page.url.searchParams.has('code')
}
const sessionOf = async (jar: CookieJar) =>
  (await jar.getCookies(issuer)).find(({ key }) => key === 'gatehouse-session')!.value
const signatureOf = async (jar: CookieJar) =>
  (await jar.getCookies(issuer)).find(({ key }) => key === 'gatehouse-session.sig')!.value

/** What lives, and what has ended, under the first version of the keys. */
interface Before {
  jar: CookieJar
  session: string
  signature: string
  jwt: RawAnswer
  opaque: RawAnswer
  code: { code: string; verifier: string }
  usedCode: { code: string; verifier: string; answer: RawAnswer }
  family: RawAnswer
  revoked: unknown
  signIn: Page
  signInBrowser: Browser
  link: string
  assertion: JWTPayload
}
let before: Before

it('there are things of the first version', async () => {
  const browser = cluster.browser(0)
  const first = await getCode(browser)
  const jwt = await redeemAt(0, first)
  const opaque = await redeemAt(1, await getCode(browser, 'openid things:read', THINGS))
  const family = await redeemAt(0, await getCode(browser))
  const revoked = (await redeemAt(0, await getCode(browser))).body.access_token
  expect((await revokeAt(1, revoked)).status).toBe(200)
  const signInBrowser = cluster.browser(0)
  const account = (await home.rooms.accounts.add({ email: 'bob@example.com' }, 'operator'))!
  const assertion = await signer.assert({ exp: Math.floor(Date.now() / 1000) + 240 })
  expect((await ask(0, '/token', { grant_type: 'client_credentials', ...assertion })).status).toBe(200)
  const usedCode = await getCode(browser)
  before = {
    jar: browser.jar,
    jwt,
    opaque,
    code: await getCode(browser),
    usedCode: { ...usedCode, answer: await redeemAt(0, usedCode) },
    family,
    revoked,
    signInBrowser,
    signIn: await signInBrowser.open(authorizeUrl({ issuer }, 'spa', pkce().challenge)),
    link: (await home.rooms.accounts.makeSetPasswordLink(account.id, 'operator')).token,
    assertion,
    session: await sessionOf(browser.jar),
    signature: await signatureOf(browser.jar),
  }
  expect([await isActive(1, jwt.body.access_token), await isActive(1, opaque.body.access_token)]).toEqual([true, true])
  expect(await isActive(1, revoked)).toBe(false)
  expect(before.session).toMatch(/^[\w-]{43}$/)
})

describe('rekey --ring', () => {
  it('adds a version, seals everything again, and is audited', async () => {
    const ran = await rekey('--ring', '--json')
    expect(ran).toMatchObject({ code: 0, json: { version: 2, resealed: expect.any(Number) } })
    expect(ran.json.resealed).toBeGreaterThanOrEqual(2)
    const audited = await home.database
      .pool()
      .query(`select kind, actor, subject from audit_entries where kind like 'ring.%' order by id`)
    expect(audited.rows).toEqual([
      { kind: 'ring.version-added', actor: 'operator', subject: '2' },
      { kind: 'ring.version-used', actor: 'operator', subject: '2' },
    ])
  })

  it('status tells which versions there are', async () => {
    const ran = await runCommand({ DATABASE_URL: home.database.url, GATEHOUSE_SECRET: TEST_SECRET }, [
      'status',
      '--json',
    ])
    expect(ran.json).toMatchObject({ key_ring: 'version 2; older ones kept: 1' })
  })

  it('what is made from then on carries it, at every process', async () => {
    for (const node of [0, 1]) {
      const browser = cluster.browser(node)
      const got = await getCode(browser)
      const { body } = await redeemAt(node, got)
      expect(await sessionOf(browser.jar)).toMatch(/^2\.[\w-]{43}$/)
      expect(got.code).toMatch(/^gth_ac_z02/)
      expect(body.refresh_token).toMatch(/^gth_rt_z02/)
      expect(decodeJwt(String(body.access_token)).jti).toMatch(/^2\./)
      const { body: opaque } = await redeemAt(1 - node, await getCode(browser, 'openid things:read', THINGS))
      expect(opaque.access_token).toMatch(/^gth_at_z02/)
      expect(await isActive(1 - node, opaque.access_token)).toBe(true)
    }
  })

  it('S-026 nobody is signed out: the cookie that the old key signed is good, and is signed anew', async () => {
    expect([await isSignedIn(0, before.jar), await isSignedIn(1, before.jar)]).toEqual([true, true])
    expect(await sessionOf(before.jar)).toBe(before.session)
    expect(await signatureOf(before.jar)).not.toBe(before.signature)
  })

  it('a page that was open can be answered', async () => {
    const browser = cluster.browser(1, before.signInBrowser.jar)
    const page = await passPages(browser, before.signIn)
    expect([page.left, page.url.searchParams.has('code')]).toEqual([true, true])
  })

  it('codes, tokens, secrets and links from before go on', async () => {
    expect(await isActive(0, before.jwt.body.access_token)).toBe(true)
    expect(await isActive(1, before.opaque.body.access_token)).toBe(true)
    expect((await redeemAt(1, before.code)).status).toBe(200)
    expect((await ask(1, '/token', { grant_type: 'client_credentials' }, ['billing', cast.billing])).status).toBe(200)
    const browser = cluster.browser(1)
    const page = await browser.open(`${issuer}/set-password?token=${before.link}`)
    const set = await browser.press(page, '', { password: NEW_PASSWORD })
    expect([set.status, set.html]).toEqual([200, expect.not.stringContaining('name="password"')])
  })

  it('a refresh family stays one: the same name, and one successor at every process', async () => {
    const answers = await Promise.all([0, 1].map((node) => refreshAt(node, before.family.body.refresh_token)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const [successor, other] = answers.map(({ body }) => body.refresh_token)
    expect(other).toBe(successor)
    expect(successor).toMatch(/^gth_rt_[^z]/)
    const next = await refreshAt(1, successor)
    const names = [before.family, ...answers, next].map(({ body }) => decodeJwt(String(body.access_token)).fid)
    expect([next.status, new Set(names).size]).toEqual([200, 1])
  })

  it('what had ended stays so: a JWT by its jti, a used code, an assertion', async () => {
    expect([await isActive(0, before.revoked), await isActive(1, before.revoked)]).toEqual([false, false])
    const assertion = await ask(1, '/token', { grant_type: 'client_credentials', ...before.assertion } as never)
    expect([assertion.status, assertion.body.error]).toEqual([401, 'invalid_client'])
    const replayed = await redeemAt(1, before.usedCode)
    expect([replayed.status, replayed.body.error]).toEqual([400, 'invalid_grant'])
    // It ends what came from the code, and finds it.
    expect(await isActive(0, before.usedCode.answer.body.access_token)).toBe(false)
    expect((await refreshAt(0, before.usedCode.answer.body.refresh_token)).body.error).toBe('invalid_grant')
  })

  it('what is ended now, of before or after, has ended everywhere', async () => {
    const { body } = await redeemAt(0, await getCode(cluster.browser(0)))
    for (const token of [before.jwt.body.access_token, body.access_token, before.opaque.body.access_token]) {
      expect(await isActive(1, token)).toBe(true)
      await revokeAt(0, token)
      expect([await isActive(0, token), await isActive(1, token)]).toEqual([false, false])
    }
  })
})

describe('rekey --drop-old', () => {
  it('refuses while something needs the older keys, and says what and until when', async () => {
    const ran = await rekey('--drop-old')
    expect(ran.code).toBe(1)
    for (const what of [
      /\d+ access tokens, until 20\d\d-/,
      /\d+ login sessions, until 20\d\d-/,
      /\d+ refresh tokens, until/,
      /4 client secrets/,
    ])
      expect(ran.err).toMatch(what)
    expect(await isSignedIn(0, before.jar)).toBe(true)
  })

  it('S-026 with --now, what hangs on them has ended, at every process within a second, and the rest goes on', async () => {
    const young = cluster.browser(0)
    const { body: kept } = await redeemAt(0, await getCode(young))
    const { body: mine } = await redeemAt(
      1,
      await getCode(cluster.browser(1, before.jar), 'openid things:read', THINGS),
    )
    // The processes write once a minute that a secret was used; this one does now.
    await home.rooms.refreshRing()
    await home.rooms.atHand.verifySecret('shop', cast.shop)
    await home.rooms.atHand.verifySecret('orders-api', cast.api)
    await home.rooms.clients.secretUse.flush()
    expect((await rekey('--drop-old', '--now')).code).toBe(2)
    expect(await rekey('--drop-old', '--now', '--yes', '--json')).toMatchObject({ code: 0, json: { dropped: [1] } })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    for (const node of [0, 1]) {
      expect(await isSignedIn(node, young.jar)).toBe(true)
      expect(await isActive(node, kept.access_token)).toBe(true)
      expect(await isActive(node, mine.access_token)).toBe(true)
      // Revoked before, and now not to be found out: it must not come back.
      expect(await isActive(node, before.revoked)).toBe(false)
    }
    expect(await isSignedIn(0, before.jar)).toBe(false)
    expect((await refreshAt(1, kept.refresh_token)).status).toBe(200)
    expect((await refreshAt(1, before.jwt.body.refresh_token)).body.error).toBe('invalid_grant')
    // Nor does the assertion that was seen.
    const assertion = await ask(0, '/token', { grant_type: 'client_credentials', ...before.assertion } as never)
    expect([assertion.status, assertion.body.error]).toEqual([401, 'invalid_client'])
    const asks = [
      ['shop', cast.shop],
      ['billing', cast.billing],
    ].map(([id, secret]) => ask(0, '/introspect', { token: 'x' }, [id!, secret!]))
    expect((await Promise.all(asks)).map(({ status }) => status)).toEqual([200, 401])
  })

  it('then there is nothing more to drop', async () => {
    expect(await rekey('--drop-old', '--json')).toMatchObject({ code: 0, json: { dropped: [], needed: [] } })
  })
})
