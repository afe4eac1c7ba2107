// The tour as a newcomer takes it: the real commands against a real start with the embedded database, and every shell
// command that is printed, run by a shell as printed.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TourReport } from '../../src/tour/narrate.ts'
import { cleanEnv, type ServerProcess, startProcess } from '../helpers/process.ts'
import { freePort } from '../helpers/server.ts'

const run = promisify(execFile)
const MAIN = join(import.meta.dirname, '../../src/main.ts')

let dataDir: string
let place: string
let server: ServerProcess
let settings: Record<string, string> & { PORT: string }

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-tour-'))
  settings = {
    PORT: String(await freePort()),
    GATEHOUSE_GATEWAY_PORT: String(await freePort()),
    GATEHOUSE_DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
  }
  server = await startProcess(settings)
  place = (JSON.parse(await gatehouse('status', '--json')) as { database: string }).database.replace(/^.* in /, '')
})
afterAll(async () => {
  await server?.stop()
  for (const folder of [place, dataDir]) if (folder) await rm(folder, { recursive: true, force: true })
})

async function gatehouse(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: cleanEnv(settings),
  })
  return stdout
}

const clients = async () =>
  (JSON.parse(await gatehouse('client', 'list', '--json')) as { clients: { id: string }[] }).clients
const users = async () => (JSON.parse(await gatehouse('user', 'list', '--json')) as { users: object[] }).users

it('try m2m: every step goes as it should, and nothing is left behind', async () => {
  const { ok, steps } = JSON.parse(await gatehouse('try', 'm2m', '--json')) as TourReport
  expect(steps.filter((step) => !step.ok)).toEqual([])
  expect(ok).toBe(true)
  expect(steps.map(({ status }) => status).filter(Boolean)).toEqual([200, 401, 200, 403, 200, 200])
  expect(await clients()).toEqual([])
})

it('try login: from sign-in to sign-out', async () => {
  const { ok, steps } = JSON.parse(await gatehouse('try', 'login', '--json')) as TourReport
  expect(steps.filter((step) => !step.ok)).toEqual([])
  expect(ok).toBe(true)
  expect(steps.map(({ status }) => status).filter(Boolean)).toEqual([200, 200, 200, 201, 200, 400])
  expect(await clients()).toEqual([])
  expect(await users()).toEqual([])
})

/** Runs every command that a story printed, in one shell, as printed. @returns the output of each */
async function paste(text: string): Promise<{ stdout: string; of: (command: string) => string[] }> {
  const commands = [...text.matchAll(/^ {4}\$ (.*)$/gm)].map((match) => match[1]!)
  expect(commands.length).toBeGreaterThanOrEqual(8)
  const { stdout } = await run('sh', ['-ec', commands.join('\necho @@\n')], { env: { PATH: process.env.PATH! } })
  const outputs = stdout.split('@@\n')
  return { stdout, of: (part) => outputs.filter((_, index) => commands[index]?.includes(part)) }
}

it('as text: the printed commands, pasted into a shell, do what the story says', async () => {
  const text = await gatehouse('try', 'm2m', '--keep')
  expect(text).toContain('stays until the next start')
  // The story's own token was revoked; these commands get another one.
  const { stdout } = await paste(text)
  for (const part of ['HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 403', '"active":true', '{"active":false}']) {
    expect(stdout).toContain(part)
  }
  expect(await clients()).toHaveLength(1)
})

it('as text: a shell can sign in, allow, use, refresh and sign out by the commands of try login', async () => {
  const { of } = await paste(await gatehouse('try', 'login', '--keep'))
  expect(of('/userinfo')).toEqual([expect.stringMatching(/"sub":"usr_\w+","email":"try-ada-/)])
  expect(of('"Arch"')).toEqual([expect.stringMatching(/"item":"Arch","quantity":1,"placedBy":"usr_/)])
  expect(of('grant_type=refresh_token')).toEqual([
    expect.stringContaining('"access_token"'),
    expect.stringContaining('"invalid_grant"'),
  ])
})

it('says what to do when nobody answers', async () => {
  const elsewhere = { ...settings, PORT: String(await freePort()) }
  const failed = await run(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'try', 'm2m'], {
    env: cleanEnv(elsewhere),
  }).then(
    () => undefined,
    (error: { code: number; stderr: string }) => error,
  )
  expect(failed?.code).toBe(1)
  expect(failed?.stderr).toMatch(/Nobody answers at http:\/\/localhost:\d+\.\nStart Gatehouse with "npm start"/)
})
