import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { writeAccess } from '../../src/postgres/access.ts'
import { boundLog, tailLog } from '../../src/postgres/log.ts'
import {
  DAEMON,
  endAll,
  isRoot,
  type Launched,
  launch,
  newDataDir,
  ordinary,
  PROJECT,
  people,
  query,
  removeAll,
} from './launched.ts'

afterEach(endAll)
afterAll(removeAll)

/** Connects as another operating system user, in a process of that user. */
function connectAs(user: { uid: number; gid: number }, connection: Launched['connection']): string {
  const script = `
    const client = new (require('pg').Client)(${JSON.stringify(connection)})
    client.connect().then(() => 'connected', (error) => error.code).then((word) => { console.log(word); process.exit() })`
  const { stdout } = spawnSync(process.execPath, ['-e', script], { ...user, cwd: PROJECT, encoding: 'utf8' })
  return stdout.trim()
}

describe.each(people)('who may connect, as $title', (person) => {
  it('P-39 trusts nobody: every rule asks the operating system or rejects', async () => {
    const launched = await launch({ dataDir: newDataDir(person) }, person)
    const rules = await query(
      launched,
      'select type, user_name, auth_method from pg_hba_file_rules order by rule_number',
    )
    expect(rules).toEqual([
      { type: 'local', user_name: ['gatehouse'], auth_method: 'peer' },
      { type: 'local', user_name: ['all'], auth_method: 'reject' },
      { type: 'host', user_name: ['all'], auth_method: 'reject' },
    ])
    await query(launched, 'create role somebody login superuser')
    const stranger = new pg.Client({ ...launched.connection, user: 'somebody' })
    await expect(stranger.connect()).rejects.toMatchObject({ code: '28000' })

    // What initdb wrote into the folder, for whoever starts PostgreSQL on it by hand, trusts nobody either.
    const inside = readFileSync(join(launched.place, 'postgres/pg_hba.conf'), 'utf8')
    expect(inside.split('\n').filter((line) => /^[a-z].*\btrust\b/.test(line))).toEqual([])
  })
})

// Only root can be several people.
const itAsRoot = isRoot && ordinary ? it : it.skip

describe('another user of the machine', () => {
  itAsRoot('neither reaches the socket, nor, having reached it, is let in', async () => {
    const launched = await launch({ dataDir: newDataDir() })
    const { host } = launched.connection
    expect(connectAs(DAEMON, launched.connection)).toBe('EACCES')
    chmodSync(host, 0o755)
    chmodSync(join(host, '.s.PGSQL.5432'), 0o777)
    expect(connectAs(DAEMON, launched.connection)).toBe('28000')
  })

  itAsRoot('root may use an ordinary user’s database, which stays that user’s', async () => {
    const dataDir = newDataDir(ordinary)
    const first = await launch({ dataDir }, ordinary)
    const command = await launch({ dataDir, role: 'command' })
    expect([command.how, command.place]).toEqual(['joined', dataDir])
    await command.stop()
    await first.stop()
    unlinkSync(join(dataDir, 'postgres.log')) // root is going to make it
    const asRoot = await launch({ dataDir })
    expect(asRoot.place).toBe(dataDir)
    await asRoot.stop()
    const again = await launch({ dataDir }, ordinary)
    expect(await query(again, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  itAsRoot('a folder given to another user is let in by a new map', async () => {
    const dataDir = newDataDir(ordinary)
    await (await launch({ dataDir }, ordinary)).stop()
    const other = { title: 'bin', as: { uid: 2, gid: 2 } }
    spawnSync('chown', ['-R', `${other.as.uid}:${other.as.gid}`, dataDir])
    const launched = await launch({ dataDir }, other)
    expect(readFileSync(join(dataDir, 'pg_ident.conf'), 'utf8')).toContain('"bin"')
    expect(connectAs(other.as, launched.connection)).toBe('connected')
    chownSync(dataDir, other.as.uid, other.as.gid)
  })

  it('the map names the server’s user and root, and nobody else', async () => {
    const base = newDataDir().slice(0, -'/data'.length)
    const { ident } = await writeAccess({ base, user: { uid: 7, gid: 7, name: 'ada', switched: false } })
    const names = [...readFileSync(ident, 'utf8').matchAll(/^gatehouse +"(.*)" +gatehouse$/gm)].map((match) => match[1])
    expect(names).toEqual(['ada', 'root'])
  })
})

describe('the server’s log', () => {
  it('never quotes what statements carry, even when they fail', async () => {
    const launched = await launch({ dataDir: newDataDir() })
    const client = new pg.Client(launched.connection)
    client.on('error', () => undefined) // it is terminated below
    await client.connect()
    await client.query('create table people (email text primary key check (length(email) < 40), age int)')
    const secret = 'ada-secret@example.com'
    await client.query('insert into people values ($1, 1)', [secret])
    const failing: [string, unknown[]][] = [
      ['insert into people values ($1, 1)', [secret]], // a duplicate: PostgreSQL's detail quotes the key
      ['select $1::int', [secret]], // the message itself quotes the value
      [`select '${secret}'::int`, []],
      ['insert into people values ($1, 1)', [secret.repeat(9)]], // the detail quotes the row
    ]
    for (const [text, values] of failing) await expect(client.query(text, values)).rejects.toThrow()
    await client.query('select pg_terminate_backend(pg_backend_pid())').catch(() => undefined)
    await launched.stop()
    const log = readFileSync(join(launched.place, 'postgres.log'), 'utf8')
    expect(log).toContain('ready to accept connections')
    expect(log).not.toContain('secret')
  })

  it('is moved aside at the next start once it is large', async () => {
    const dataDir = newDataDir()
    const first = await launch({ dataDir })
    await first.stop()
    const log = join(first.place, 'postgres.log')
    writeFileSync(log, 'old line\n'.repeat(700_000))
    await launch({ dataDir })
    expect(readFileSync(log, 'utf8')).not.toContain('old line')
    expect(readFileSync(`${log}.1`, 'utf8')).toContain('old line')
  })

  it('is bounded while the server writes: it goes on at the new end', async () => {
    const launched = await launch({ dataDir: newDataDir() })
    const log = join(launched.place, 'postgres.log')
    await boundLog(log, 10)
    expect(readFileSync(log, 'utf8')).toBe('')
    expect(readFileSync(`${log}.1`, 'utf8')).toContain('ready to accept connections')
    await launched.stop()
    const after = readFileSync(log, 'utf8')
    expect(after).toContain('database system is shut down')
    expect(after).not.toContain('\0')
    expect(await tailLog(log, 0)).toContain('database system is shut down')
    await boundLog(log)
    expect(existsSync(log) && readFileSync(log, 'utf8')).toBe(after)
  })
})
