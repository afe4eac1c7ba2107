import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chownSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { endAll, isRoot, launch, newDataDir, query, refusal, removeAll } from './launched.ts'

afterEach(endAll)
afterAll(removeAll)

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
