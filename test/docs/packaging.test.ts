// What ships: the container's recipe carried out step by step, the result started as a container would start it, and the
// dependencies it may count on. Docker itself is not needed.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { readConfig } from '../../src/config.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { type BuiltImage, buildImage, readDockerfile, withoutOuterNpm } from '../helpers/dockerfile.ts'
import { cleanEnv, send } from '../helpers/process.ts'
import { freePort, TEST_SECRET } from '../helpers/server.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const manifest = JSON.parse(read('package.json'))
const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockEntry> }
const instructions = readDockerfile(read('Dockerfile'))

interface LockEntry {
  readonly version?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly optionalDependencies?: Record<string, string>
}

describe('the Dockerfile, executed', () => {
  let folder: string
  let image: BuiltImage
  let database: TestDatabase

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-image-'))
    image = await buildImage(instructions, ROOT, folder)
    database = await createTestDatabase()
  }, 180_000)
  afterAll(async () => {
    await database?.drop()
    await rm(folder, { recursive: true, force: true })
  })

  it('makes an image that starts, becomes ready and healthy, and stops in good order', async () => {
    const port = await freePort()
    const settings = { PORT: String(port), DATABASE_URL: database.url, GATEHOUSE_SECRET: TEST_SECRET }
    // The image listens on all addresses; a test does not.
    const env = cleanEnv({ ...image.env, ...settings, HOST: '127.0.0.1', PATH: dirname(process.execPath) })
    const child = spawn(image.command[0]!, image.command.slice(1), { cwd: image.workdir, env, stdio: 'pipe' })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        said += data
      })
    }
    const ended = once(child, 'exit')
    try {
      await readyWithin(20_000, port, () => said)
      expect(await healthcheck(image, String(port))).toBe(0)
      expect(await healthcheck(image, String(await freePort()))).toBe(1)
      expect(said).toContain(`Gatehouse ${manifest.version} is ready at http://localhost:${port}`)
    } finally {
      child.kill(image.stopSignal as NodeJS.Signals)
    }
    expect(await ended).toEqual([0, null])
  })

  it('holds the server and what it needs, and nothing else', () => {
    expect(readdirSync(image.workdir).sort()).toEqual(
      ['LICENSE', 'bin', 'data', 'migrations', 'node_modules', 'package.json', 'src', 'views'].sort(),
    )
    const packages = readdirSync(join(image.workdir, 'node_modules'))
    expect(packages).toContain('koa')
    expect(packages.filter((name) => /^node-linux|^jest|^typescript$/.test(name))).toEqual([])
  })

  it('runs as a user of its own, who owns the data folder alone', () => {
    expect(image.user).toBe('gatehouse')
    expect(image.accounts).toMatch(/^useradd .*--uid 10001 .*gatehouse$/m)
    expect(image.accounts.match(/^chown.*$/gm)).toEqual(['chown gatehouse:gatehouse data'])
    const at = (name: string) => instructions.findLastIndex((instruction) => instruction.name === name)
    expect(at('USER')).toBeGreaterThan(at('RUN'))
  })

  it('listens where a published port leads', () => {
    expect(readConfig({ ...image.env }).hosts).toEqual(['0.0.0.0'])
  })
})

it('the build sees what the Dockerfile copies, and nothing else', () => {
  const [first, ...rules] = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(first).toBe('*')
  const copied = instructions
    .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from'))
    .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
  expect(rules.sort()).toEqual([...new Set(copied)].map((path) => `!${path}`).sort())
  expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

describe('production needs no devDependency', () => {
  const files = ['src', 'migrations', 'bin'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|mjs)$/.test(path))
      .map((path) => join(folder, path)),
  )
  const imported = files.flatMap((path) =>
    [
      ...read(path).matchAll(
        /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\(|\bresolve\s*\()\s*['"]([^'".][^'"]*)['"]/g,
      ),
    ].map((match) => ({ path, name: packageOf(match[1]!) })),
  )

  it('every package that src, migrations and bin import is a direct dependency', () => {
    const known = new Set([...Object.keys(manifest.dependencies), ...builtinModules])
    expect(imported.length).toBeGreaterThan(100)
    expect(imported.filter(({ name }) => !name.startsWith('node:') && !known.has(name))).toEqual([])
  })

  it('every dependency is imported', () => {
    const names = new Set(imported.map(({ name }) => name))
    expect(Object.keys(manifest.dependencies).filter((name) => !names.has(name))).toEqual([])
  })
})

describe('package.json and its lock', () => {
  it('S-217 every version is exact', () => {
    const { dependencies, devDependencies, optionalDependencies } = manifest
    const versions = Object.entries<string>({ ...dependencies, ...devDependencies, ...optionalDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
  })

  it('the lock names every platform build, also those that the machine which wrote it could not fetch', () => {
    const names = new Set(Object.keys(lock.packages).map((path) => path.replace(/.*node_modules\//, '')))
    const missing = Object.values(lock.packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => !names.has(name))
    expect(missing).toEqual([])
  })

  it('S-217 everything that production installs is pinned by a hash, and the lock names no host', () => {
    const production = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev)
    expect(production.length).toBeGreaterThan(50)
    expect(production.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual(
      [],
    )
    expect(read('package-lock.json')).not.toContain('"resolved"')
  })

  it('S-217 no install script runs, here and in the image', () => {
    expect(read('.npmrc').split('\n')).toContain('ignore-scripts=true')
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?(install|prepare)$/.test(name))).toEqual([])
  })

  // The releases that mended what is known of the engine, the framework and the signatures (SECURITY section 6).
  it.each([
    ['oidc-provider', '9.11.4'],
    ['koa', '3.1.2'],
    ['jose', '4.15.6'],
  ])('S-217 %s is not older than %s, wherever it is installed', (name, floor) => {
    const installed = Object.entries(lock.packages).filter(([path]) => path.endsWith(`node_modules/${name}`))
    expect(installed.length).toBeGreaterThan(0)
    for (const [path, { version }] of installed) {
      const order = version!.localeCompare(floor, 'en', { numeric: true })
      expect([path, version, order >= 0]).toEqual([path, version, true])
    }
  })

  it('a package holds what the image holds, and the documents', async () => {
    const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json'], {
      cwd: ROOT,
      env: withoutOuterNpm(process.env),
    })
    const paths = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path) as string[]
    const tops = [...new Set(paths.map((path) => path.split('/')[0]))].sort()
    expect(tops).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'migrations', 'package.json', 'src', 'views'].sort(),
    )
  })
})

async function readyWithin(milliseconds: number, port: number, said: () => string): Promise<void> {
  const until = Date.now() + milliseconds
  for (;;) {
    const answer = await send(port, '/readyz').catch(() => undefined)
    if (answer?.status === 200) return
    if (Date.now() > until) throw new Error(`not ready:\n${said()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function healthcheck({ healthcheck, workdir, env }: BuiltImage, port: string): Promise<number | null> {
  const [program, ...args] = healthcheck!
  const child = spawn(program!, args, {
    cwd: workdir,
    env: { ...env, PORT: port, PATH: dirname(process.execPath) },
    stdio: 'ignore',
  })
  return (await once(child, 'exit'))[0]
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
