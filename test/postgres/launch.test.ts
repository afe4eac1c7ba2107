import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { launchPostgres } from '../../src/postgres/launch.ts'
import { isRunning, markProcess } from '../../src/postgres/processes.ts'
import { until } from '../helpers/until.ts'
import { endAll, isRoot, launch, newDataDir, people, query, refusal, removeAll, serverPid } from './launched.ts'

afterEach(endAll)
afterAll(removeAll)

describe.each(people)('the embedded database, as $title', (person) => {
  const dataDir = newDataDir(person) // one for all but the races; every test leaves it stopped

  it('starts from nothing, stops, and starts again with what was committed', async () => {
    const first = await launch({ dataDir, noSync: false }, person)
    expect(first.how).toBe('started')
    if (person.as || !isRoot) expect(first.place).toBe(dataDir)
    else expect(first.place).toMatch(/^\/var\/lib\/gatehouse\//)
    expect(first.said).toEqual([])
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
    expect(statSync(join(first.place, 'postgres')).mode & 0o777).toBe(0o700)
    expect(statSync(first.connection.host).mode & 0o777).toBe(0o700)
    expect(statSync(join(first.place, 'postgres.log')).mode & 0o777).toBe(0o600)
    await query(first, 'create table kept (word text)', `insert into kept values ('still here')`)
    const settings = await query(
      first,
      `select name, setting from pg_settings
        where name in ('data_checksums', 'fsync', 'synchronous_commit', 'listen_addresses', 'max_connections') order by name`,
    )
    expect(settings.map(({ name, setting }) => `${name}=${setting}`)).toEqual([
      'data_checksums=on',
      'fsync=on',
      'listen_addresses=',
      'max_connections=200',
      'synchronous_commit=on',
    ])
    const pid = serverPid(first)!
    await first.stop()
    expect(isRunning(markProcess(pid))).toBe(false)
    expect(serverPid(first)).toBeUndefined()
    expect(existsSync(join(first.place, 'owner.json'))).toBe(false)

    const second = await launch({ dataDir }, person)
    expect(second.how).toBe('started')
    expect(await query(second, 'select word from kept')).toEqual([{ word: 'still here' }])
    await second.stop()
  })

  it('R-32 refuses a second server, names the first, and leaves it alone', async () => {
    const first = await launch({ dataDir }, person)
    const refused = await refusal({ dataDir }, person)
    expect(refused.message).toContain(`process ${first.pid}`)
    expect(refused.advice).toContain('DATABASE_URL')
    expect(await query(first, 'select 1 as one')).toEqual([{ one: 1 }])
    await first.stop()
    const second = await launch({ dataDir }, person)
    expect(second.how).toBe('started')
  })

  it('R-32 adopts the orphan of a killed owner, and stops it in the end', async () => {
    const first = await launch({ dataDir }, person)
    const orphan = serverPid(first)!
    await first.kill()
    expect(serverPid(first)).toBe(orphan)

    const second = await launch({ dataDir }, person)
    expect(second.how).toBe('adopted')
    expect(serverPid(second)).toBe(orphan)
    await second.stop()
    expect(isRunning(markProcess(orphan))).toBe(false)
  })

  it('R-32 takes over the lock of a server that was killed, with what it had committed', async () => {
    const first = await launch({ dataDir, noSync: false }, person)
    await query(first, 'create table safe (word text)', `insert into safe values ('committed')`)
    const killed = serverPid(first)!
    process.kill(killed, 'SIGKILL')
    await first.kill()
    const second = await launch({ dataDir }, person)
    expect(second.how).toBe('started')
    expect(serverPid(second)).not.toBe(killed)
    expect(await query(second, 'select word from safe')).toEqual([{ word: 'committed' }])
  })

  it('starts one server for three commands at once, which ends with the last of them', async () => {
    const dataDir = newDataDir(person)
    const role = 'command'
    const three = await Promise.all([1, 2, 3].map(() => launch({ dataDir, role }, person)))
    const pids = await Promise.all(
      three.map((one) => query(one, `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid`)),
    )
    expect(new Set(pids.map((rows) => rows[0]!.pid)).size).toBe(1)
    expect(three.filter((one) => one.how === 'started')).toHaveLength(1)
    const [first, second, third] = three.sort((a) => (a.how === 'started' ? -1 : 1))
    await first!.stop()
    expect(await query(second!, 'select 1 as one')).toEqual([{ one: 1 }])
    await second!.stop()
    expect(await query(third!, 'select 1 as one')).toEqual([{ one: 1 }])
    await third!.stop()
    expect(serverPid(third!)).toBeUndefined()
    expect(readdirSync(third!.place).filter((name) => name.includes('making'))).toEqual([])
  })

  it('lets one of three servers win a fresh folder, and refuses the others', async () => {
    const dataDir = newDataDir(person)
    const three = await Promise.allSettled([1, 2, 3].map(() => launch({ dataDir }, person)))
    const [winner, ...more] = three.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(more).toEqual([])
    for (const one of three) {
      if (one.status === 'rejected') expect(one.reason.message).toContain(`process ${winner!.pid}`)
    }
    expect(await query(winner!, 'select 1 as one')).toEqual([{ one: 1 }])
    await winner!.stop()
    expect(serverPid(winner!)).toBeUndefined()
  })
})

describe('commands and servers', () => {
  const dataDir = newDataDir()

  it('a command joins a server and leaves it running', async () => {
    const server = await launch({ dataDir })
    const command = await launch({ dataDir, role: 'command' })
    expect(command.how).toBe('joined')
    await command.stop()
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('a server takes over what a command started; the command then leaves it running', async () => {
    const command = await launch({ dataDir, role: 'command' })
    const server = await launch({ dataDir, role: 'server' })
    expect([command.how, server.how]).toEqual(['started', 'joined'])
    await command.stop()
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await refusal({ dataDir })).message).toContain(`process ${server.pid}`)
    const pid = serverPid(server)!
    await server.stop()
    expect(isRunning(markProcess(pid))).toBe(false)
  })

  it('an owner whose pid now belongs to another process counts as dead', async () => {
    const first = await launch({ dataDir })
    const file = join(first.place, 'owner.json')
    const owner = JSON.parse(readFileSync(file, 'utf8'))
    expect(owner).toMatchObject({ pid: first.pid, role: 'server', base: first.place })
    await first.kill()
    writeFileSync(file, JSON.stringify({ ...owner, pid: process.pid })) // alive, but it started at another time
    const second = await launch({ dataDir })
    expect(second.how).toBe('adopted')
  })

  const itWithProc = existsSync('/proc/self') ? it : it.skip
  itWithProc('the server is out of reach of Ctrl-C: it leads a process group of its own', async () => {
    const launched = await launch({ dataDir })
    const pid = serverPid(launched)!
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    expect(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])).toBe(pid)
  })

  it('a server that finds its PostgreSQL killed stops without complaint, and the next one starts', async () => {
    const first = await launch({ dataDir })
    process.kill(serverPid(first)!, 'SIGKILL')
    await first.stop()
    expect((await launch({ dataDir })).how).toBe('started')
  })

  it('R-15 a server whose PostgreSQL is killed brings it back, with what was committed, and stops it in the end', async () => {
    const first = await launch({ dataDir, noSync: false })
    await query(first, 'create table kept (word text)', `insert into kept values ('committed')`)
    const killed = serverPid(first)!
    for (let round = 0; round < 2; round += 1) {
      const pid = serverPid(first)!
      process.kill(pid, 'SIGKILL')
      await until(() => ![undefined, pid].includes(serverPid(first)))
    }
    await until(() => readFileSync(join(first.place, 'postgres/postmaster.pid'), 'utf8').includes('ready'))
    expect(await query(first, 'select word from kept')).toEqual([{ word: 'committed' }])
    expect(serverPid(first)).not.toBe(killed)
    expect((await refusal({ dataDir })).message).toContain(`process ${first.pid}`)
    await first.stop()
    expect(serverPid(first)).toBeUndefined()
  })

  it('R-33 a server whose files are taken away makes no empty database in their place', async () => {
    const dataDir = newDataDir()
    const first = await launch({ dataDir })
    const data = join(first.place, 'postgres')
    renameSync(data, `${data}-away`)
    process.kill(Number(readFileSync(join(`${data}-away`, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGKILL')
    await sleep(2000) // an initdb would be done
    expect(existsSync(data)).toBe(false)
    await first.stop()
    renameSync(`${data}-away`, data)
    expect((await launch({ dataDir })).how).toBe('started')
  })

  it('stop twice stops once', async () => {
    const database = await launchPostgres({ dataDir, role: 'server', noSync: true })
    const pid = serverPid(database)!
    await Promise.all([database.stop(), database.stop()])
    await database.stop()
    expect(isRunning(markProcess(pid))).toBe(false)
  })
})
