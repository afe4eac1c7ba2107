// The operator's commands, in a process of their own, beside a server that runs: it learns of each change within a second.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { basic, obtainTokens } from '../helpers/flow.ts'
import { cleanEnv, type ServerProcess, send, startProcess } from '../helpers/process.ts'
import { addCast, freePort, startTestServer, TEST_SECRET, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '../../src/main.ts')

let home: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let running: ServerProcess
let settings: Record<string, string> & { PORT: string }
const issuer = () => `http://localhost:${running.port}`

beforeAll(async () => {
  home = await startTestServer()
  cast = await addCast(home)
  settings = {
    PORT: String(await freePort()),
    DATABASE_URL: home.database.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'error',
  }
  running = await startProcess(settings)
})
afterAll(async () => {
  await running?.stop()
  await home?.stop()
})

async function gatehouse(...args: string[]): Promise<void> {
  await run(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], { env: cleanEnv(settings) })
}

const form = { grant_type: 'client_credentials' }
const tokenFor = (id: string, secret: string) =>
  send(running.port, '/token', { form, headers: { ...basic(id, secret), host: new URL(issuer()).host } })
const introspect = async (token: string) => {
  const headers = { ...basic('orders-api', cast.api), host: new URL(issuer()).host }
  return (await send(running.port, '/introspect', { form: { token }, headers })).body
}

/** @throws Error when somebody who asks a second later is not answered so */
const soon = (look: () => Promise<boolean>) => until(look, { within: 1000 })

it('S-078 a client that is disabled is refused within a second, and so are its tokens; enabled, it is let in again', async () => {
  const before = await tokenFor('billing', cast.billing)
  expect(before.status).toBe(200)
  expect(await introspect(String(before.body.access_token))).toMatchObject({ active: true })
  await gatehouse('client', 'disable', 'billing')
  await soon(async () => (await tokenFor('billing', cast.billing)).status === 401)
  expect(await introspect(String(before.body.access_token))).toEqual({ active: false })
  await gatehouse('client', 'enable', 'billing')
  await soon(async () => (await tokenFor('billing', cast.billing)).status === 200)
})

it('a rotated secret replaces the old one within a second', async () => {
  await gatehouse('client', 'rotate-secret', 'billing')
  await soon(async () => (await tokenFor('billing', cast.billing)).status === 401)
})

it('a person who is disabled loses what apps hold for her within a second', async () => {
  const { body } = await obtainTokens(
    { issuer: issuer() },
    { id: 'shop', secret: cast.shop },
    { scope: 'openid orders:read' },
  )
  expect(await introspect(body.access_token)).toMatchObject({ active: true })
  await gatehouse('user', 'disable', 'ada@example.com')
  await soon(async () => (await introspect(body.access_token)).active === false)
})
