// The README, done as it says: its blocks marked `sh start` and `sh run` are carried out in a copy of the project, files that
// it shows are saved, and what it shows (`text shows`) must come out. `…` stands for any text; alone on a line, for any lines.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { withoutOuterNpm } from '../helpers/dockerfile.ts'
import { type Block, blocksOf, ROOT, readDocument } from '../helpers/documents.ts'
import { cleanEnv } from '../helpers/process.ts'
import { freePort } from '../helpers/server.ts'

const blocks = blocksOf(readDocument('README.md'))
// The README needs curl, and the project does not.
const hasCurl = process.env.PATH!.split(delimiter).some((folder) => exists(join(folder, 'curl')))
const itWithCurl = hasCurl ? it : it.skip

let project: string
let server: ChildProcess
let announcement = ''
let said: readonly string[] = []
let places: (text: string) => string

beforeAll(async () => {
  project = await copyProject()
  const ports = await twoFreePorts()
  places = (text) =>
    text.replaceAll('localhost:3000', `localhost:${ports[0]}`).replaceAll('localhost:3001', `localhost:${ports[1]}`)
  const env = withoutOuterNpm(
    cleanEnv({ PORT: String(ports[0]), GATEHOUSE_GATEWAY_PORT: String(ports[1]), LOG_LEVEL: 'warn' }),
  )
  server = spawn('npm', ['start'], { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] })
  await announced()
  if (hasCurl) said = await carryOut(env)
}, 180_000)

afterAll(async () => {
  if (server && server.exitCode === null) server.kill('SIGKILL')
  if (project) await removeProject()
}, 30_000)

it('starts with the two commands, and says what is shown', () => {
  const start = blocks.findIndex(({ what }) => what === 'start')
  expect(blocks[start]?.text).toBe('npm ci\nnpm start\n')
  expectShown(blocks[start + 1]!, announcement)
})

itWithCurl('every command marked `run` does what it says, and shows what is shown', () => {
  const runs = blocks.filter(({ what }) => what === 'run')
  expect(runs.length).toBeGreaterThan(8)
  expect(said).toHaveLength(runs.length)
  let shown = 0
  runs.forEach((block, index) => {
    const next = blocks[blocks.indexOf(block) + 1]
    if (next?.what !== 'shows') return
    shown += 1
    expectShown(next, said[index]!)
  })
  expect(shown).toBe(blocks.filter(({ what }) => what === 'shows').length - 1)
})

it('a block is run, shown, saved, or known not to be for this machine', () => {
  const others = blocks.filter(({ what }) => !/^(start|run|shows|file=\S+)$/.test(what))
  expect(others.map(({ language, text }) => `${language}: ${text.split('\n')[0]}`)).toEqual([
    "text:    a person's browser        an app                     a service",
    "sql: create role gatehouse_owner login password '…';",
    'sh: cp .env.example .env && chmod 600 .env    # then fill it in',
    'nginx: server {',
    'haproxy: defaults',
    'nginx: upstream gatehouse {',
    'sh: pg_dump --format=custom --file=gatehouse.dump "$GATEHOUSE_MIGRATE_URL"',
    'sh: cp .env.example .env                       # fill in GATEHOUSE_SECRET and POSTGRES_PASSWORD',
  ])
})

it('ends in good order when npm is told to stop', async () => {
  server.kill('SIGTERM')
  expect(await once(server, 'close')).toEqual([0, null])
  expect(announcement).toContain('Stopping: requests under way are finished first.')
}, 20_000)

/** One shell for all blocks, so that a later one finds the variables of an earlier one. @returns what each wrote to stdout */
async function carryOut(env: NodeJS.ProcessEnv): Promise<string[]> {
  for (const { what, text } of blocks) {
    const [, name] = /^file=(\S+)$/.exec(what) ?? []
    if (name) await writeFile(join(project, name), text)
  }
  const runs = blocks.filter(({ what }) => what === 'run').map(({ text }) => places(text))
  const script = runs.map((text, index) => `${text}printf '\\n@@@ %s\\n' ${index}\n`).join('')
  const { stdout } = await promisify(execFile)('sh', ['-e', '-c', script], { cwd: project, env, maxBuffer: 10_000_000 })
  return stdout.split(/\n@@@ \d+\n/).slice(0, -1)
}

/** Every shown line must be there, in the shown order and, but for lines of `…`, one directly after the other. */
function expectShown({ text }: Block, actual: string): void {
  const pattern = places(text)
    .replace(/\n$/, '')
    .split(/^…\n?|\n…$/m)
    .map((part) =>
      part
        .split('…')
        .map((literal) => literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        .join('[^\\n]*'),
    )
    .join('[\\s\\S]*')
  expect(actual).toMatch(new RegExp(pattern))
}

async function announced(): Promise<void> {
  let log = ''
  server.stderr!.on('data', (data) => {
    log += data
  })
  let late: NodeJS.Timeout | undefined
  await new Promise<void>((resolve, reject) => {
    late = setTimeout(() => reject(new Error(`not ready in time:\n${announcement}${log}`)), 60_000)
    server.stdout!.on('data', (data) => {
      announcement += data
      if (announcement.includes('every command')) resolve()
    })
    server.once('exit', (code) => reject(new Error(`ended with ${code}:\n${announcement}${log}`)))
  }).finally(() => clearTimeout(late))
}

async function twoFreePorts(): Promise<readonly [number, number]> {
  const [one, other] = [await freePort(), await freePort()]
  return one === other ? twoFreePorts() : [one, other]
}

/** The project as a clone would have it, with packages by link; those that end up in the authorizer are copied, because the
 *  bundler goes by real paths. */
async function copyProject(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-readme-'))
  for (const name of ['package.json', '.npmrc', 'bin', 'src', 'migrations', 'views', 'deploy'])
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  const [from, to] = [join(ROOT, 'node_modules'), join(folder, 'node_modules')]
  await mkdir(to)
  for (const name of readdirSync(from)) {
    if (['jose', 'esbuild', '@esbuild', 'fflate'].includes(name))
      await cp(join(from, name), join(to, name), { recursive: true })
    else await symlink(join(from, name), join(to, name))
  }
  return folder
}

/** As root the database lies elsewhere, where its note says. */
async function removeProject(): Promise<void> {
  const note = await readFile(join(project, 'data/database.json'), 'utf8').catch(() => '{}')
  const { place } = JSON.parse(note) as { place?: string }
  if (place?.startsWith('/')) await rm(place, { recursive: true, force: true })
  await rm(project, { recursive: true, force: true })
}

function exists(path: string): boolean {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}
