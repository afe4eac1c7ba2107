// What a thief of the database, of its write-ahead log or of the logs would find: none of the values that open anything.
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type pg from 'pg'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, introspect, obtainCode, passPages, pkce, post, redeem, refresh } from '../helpers/flow.ts'
import { addCast, ORDERS, PASSWORD, startTestServer, TEST_SECRET, type TestServer, THINGS } from '../helpers/server.ts'
import { createSecretSigner } from '../helpers/signer.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
/** real values by what they are */
const secrets: Record<string, string> = {}
/** holds what is written to the log from now on: other tests make PostgreSQL clear away what it needs no more */
let keeper: pg.PoolClient

beforeAll(async () => {
  server = await startTestServer()
  keeper = await server.database.pool({ max: 1 }).connect()
  await keeper.query('select pg_create_physical_replication_slot($1, true, true)', [
    `t_${randomBytes(6).toString('hex')}`,
  ])
  cast = await addCast(server)
  const shop = { id: 'shop', secret: cast.shop }
  const browser = createBrowser(server.issuer)

  // A login under way, left at the sign-in page.
  const waiting = await browser.open(authorizeUrl(server, 'shop', pkce().challenge))
  secrets.interaction = waiting.url.pathname.split('/').pop()!

  // The same of a request that was pushed.
  const form = Object.fromEntries(authorizeUrl(server, 'shop', pkce().challenge).searchParams)
  const { body: pushed } = await post(server, '/par', form, shop)
  await browser.open(
    `${server.issuer}/authorize?${new URLSearchParams({ client_id: 'shop', request_uri: String(pushed.request_uri) })}`,
  )
  secrets['handle of a pushed request'] = String(pushed.request_uri).split(':').at(-1)!

  const signing = await server.addClient({ id: 'signing', authMethod: 'client_secret_jwt' })
  const assertion = await createSecretSigner(server.issuer, 'signing', signing).assert()
  await post(server, '/token', { grant_type: 'client_credentials', resource: ORDERS, ...assertion })
  secrets['client secret that is signed with'] = signing
  secrets['client assertion'] = assertion.client_assertion

  const unused = await obtainCode(server, 'shop', { scope: 'openid orders:read' }, browser)
  secrets['authorization code, unused'] = unused.code
  const used = await obtainCode(server, 'shop', { scope: 'openid things:read', resource: THINGS }, browser)
  secrets['authorization code, used'] = used.code
  const tokens = await redeem(server, shop, used)
  secrets['opaque access token'] = tokens.body.access_token
  secrets['refresh token of a confidential client'] = tokens.body.refresh_token
  const jwt = await redeem(
    server,
    shop,
    await obtainCode(server, 'shop', { scope: 'openid orders:read', resource: ORDERS }, browser),
  )
  secrets['JWT access token'] = jwt.body.access_token
  secrets['ID token'] = jwt.body.id_token

  const spa = { id: 'spa' }
  const first = await redeem(server, spa, await obtainCode(server, 'spa', { scope: 'openid things:read' }, browser))
  const second = await refresh(server, spa, first.body.refresh_token)
  secrets['refresh token, rotated'] = first.body.refresh_token
  secrets['refresh token of a public client'] = second.body.refresh_token
  await introspect(server, { id: 'orders-api', secret: cast.api }, second.body.access_token)

  // Mistakes are logged most eagerly.
  await passPages(
    createBrowser(server.issuer),
    await browser.open(authorizeUrl(server, 'spa', pkce().challenge, { prompt: 'login' })),
  )
  await redeem(server, shop, used)
  await refresh(server, spa, first.body.refresh_token)
  await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${second.body.access_token}x` } })

  for (const cookie of await browser.jar.getCookies(server.issuer)) secrets[`cookie ${cookie.key}`] = cookie.value
  secrets['client secret'] = cast.shop
  secrets['set-password link'] = (await server.rooms.accounts.makeSetPasswordLink(cast.ada, 'operator')).token
  secrets['administrator link'] = (await server.rooms.accounts.makeAdminLink('operator')).token
  secrets.password = PASSWORD
  secrets.GATEHOUSE_SECRET = TEST_SECRET
  for (const key of server.rooms.signingKeys.held()) secrets[`private key ${key.alg}`] = key.privateJwk.d!
})
afterAll(async () => {
  keeper?.release(true)
  await server?.stop()
})

it('collects the values that it looks for', () => {
  expect(Object.keys(secrets).filter((name) => (secrets[name]?.length ?? 0) < 16)).toEqual([])
  expect(Object.keys(secrets)).toEqual(expect.arrayContaining(['cookie gatehouse-session', 'private key RS256']))
})

it('S-024 S-068 no table holds any of them', async () => {
  const text = await dump()
  expect(text.length).toBeGreaterThan(5000)
  expect(found(text)).toEqual([])
  expect(text).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY|"d":/)
})

it('the write-ahead log and the log of the database hold none of them', async () => {
  const pool = server.database.pool()
  await pool.query('checkpoint')
  const { rows } = await pool.query('show data_directory')
  const folder: string = rows[0].data_directory
  const wal = join(folder, 'pg_wal')
  let probed = false
  for (const name of readdirSync(wal)) {
    const written = readIfThere(join(wal, name))
    probed ||= written.includes('https://things.example.com')
    expect(found(written)).toEqual([])
  }
  // The probe finds what certainly is there; else an unreadable or empty log would pass.
  expect(probed).toBe(true)
  const logs = readdirSync(dirname(folder)).filter((name) => /postgres.*log/.test(name))
  expect(logs.length).toBeGreaterThan(0)
  for (const name of logs) expect(found(readFileSync(join(dirname(folder), name), 'latin1'))).toEqual([])
})

it('S-214 our own log holds none of them', () => {
  expect(server.log.length).toBeGreaterThan(20)
  expect(found(server.log.join(''))).toEqual([])
})

it('S-214 nor when one of them comes in a path that is not there', async () => {
  const before = server.log.length
  for (const path of ['//interaction/', '/INTERACTION/', '/%69nteraction/', '/set-password/', '/token/x', '/']) {
    for (const value of [secrets.interaction, secrets['authorization code, unused'], secrets['set-password link']]) {
      await fetch(`${server.issuer}${path}${value}/`)
    }
  }
  await fetch(`${server.issuer}/.well-known/openid-configuration`)
  const told = server.log.slice(before).join('')
  expect(found(told)).toEqual([])
  expect(told).toContain('"path":"/.well-known/openid-configuration"')
})

it('S-214 no server of any test stops with a secret in its log: what was sent in a header or a form, and what was answered', async () => {
  const spa = { id: 'spa' }
  const tokens = async () => (await redeem(server, spa, await obtainCode(server, 'spa'))).body
  const leaks: [string, string][] = [
    ['access token', (await tokens()).access_token],
    ['cookie', (await createBrowserWithCookie()).value],
    ['password', PASSWORD],
    ['client secret', cast.shop],
    ['code', (await obtainCode(server, 'spa')).code],
  ]
  for (const [what, secret] of leaks) {
    const other = await startTestServer({ database: server.database })
    other.log.push(`{"msg":"a careless line about ${secret}"}`)
    const stopped = await other.stop().catch((error: Error) => error.message)
    expect([what, stopped]).toEqual([what, expect.stringMatching(/^secrets in the log/)])
  }
})

async function createBrowserWithCookie() {
  const browser = createBrowser(server.issuer)
  await obtainCode(server, 'spa', {}, browser)
  return (await browser.jar.getCookies(server.issuer)).find(({ key }) => key === 'gatehouse-session')!
}

/** @returns a file's bytes as text; '' for a folder, and for a segment older than the keeper that has just been cleared away */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (!['ENOENT', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return ''
  }
}

function found(text: string): string[] {
  return Object.entries(secrets)
    .filter(([, value]) => text.includes(value))
    .map(([name]) => name)
}

/** Every row of every table, as text; bytes in hex and decoded, so that nothing hides behind an encoding. */
async function dump(): Promise<string> {
  const pool = server.database.pool()
  const tables = await pool.query(`select table_name from information_schema.tables where table_schema = 'public'`)
  const texts: string[] = []
  for (const { table_name } of tables.rows) {
    const { rows } = await pool.query(`select * from "${table_name}"`)
    for (const row of rows) {
      for (const value of Object.values(row)) {
        texts.push(
          Buffer.isBuffer(value)
            ? `${value.toString('latin1')} ${value.toString('base64url')} ${value.toString('hex')}`
            : JSON.stringify(value),
        )
      }
    }
  }
  return texts.join('\n')
}
