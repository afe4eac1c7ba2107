import { spawn, spawnSync } from 'node:child_process'
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
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { markProcess } from '../../src/postgres/processes.ts'
import { sweepScratch } from '../../src/postgres/scratch.ts'
import { makeSocketFolder } from '../../src/postgres/socket.ts'
import { until } from '../helpers/until.ts'
import { endAll, isRoot, launch, newDataDir, ordinary, PROJECT, query, refusal, removeAll } from './launched.ts'

afterEach(endAll)
afterAll(removeAll)

const itAsRoot = isRoot ? it : it.skip
const itAsBoth = isRoot && ordinary ? it : it.skip

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
    expect(refused.message).toContain('this user may not read and write it')
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

  it('a strict umask does not hide from the server what it must read', async () => {
    const launched = await launch({ dataDir: newDataDir(), umask: 0o077 })
    expect(await query(launched, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('what a killed first start left unfinished blocks nobody', async () => {
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
    expect((await launch({ dataDir }, ordinary)).how).toBe('started')
  })

  it('unfinished folders are swept away once their maker is dead', async () => {
    const folder = dirname(newDataDir())
    const dead = spawnSync('true').pid
    const { pid, start } = markProcess(process.pid)
    const names = [`x.making-${pid}-${start ?? ''}-ab`, `x.making-${dead}-7-ab`, `x.making-${pid}-7-ab`, 'secret.key']
    for (const name of names) mkdirSync(join(folder, name, 'inside'), { recursive: true })
    await sweepScratch(folder)
    const ours = start === null ? names[2]! : names[0]! // without /proc the pid alone counts
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(['secret.key', ours]))
    expect(readdirSync(folder)).not.toContain(names[1])
    if (start !== null) expect(readdirSync(folder)).not.toContain(names[2])
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
