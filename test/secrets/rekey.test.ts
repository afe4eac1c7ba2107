// Another secret and other keys, step by step: after each step, whether or not the next one follows, the ring opens.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAudit } from '../../src/audit/append.ts'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { followRing } from '../../src/secrets/follow-ring.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { openKeyRing } from '../../src/secrets/open-ring.ts'
import { createRekey, type RekeyParts } from '../../src/secrets/rekey.ts'
import { readRow } from '../../src/secrets/ring-row.ts'
import { readSecretFile, writeSecretFile } from '../../src/secrets/secret-file.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { cleanEnv, runCommand, send, startProcess } from '../helpers/process.ts'
import { freePort } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const OLD = 'the old secret that is long enough'
const NEW = 'the new secret that is long enough'
const MAIN = join(import.meta.dirname, '../../src/main.ts')
const DAY = 24 * 60 * 60
const LIFETIMES = { session: 7 * DAY, family: 90 * DAY, accessToken: DAY }

describe('in a database', () => {
  let database: TestDatabase
  let connected: Connected
  let time: number
  const now = () => new Date(time)
  beforeEach(async () => {
    time = Date.parse('2030-01-01T00:00:00Z')
    database = await createTestDatabase()
    connected = connect(database.connection)
  })
  afterEach(async () => {
    await connected.close()
    await database.drop()
  })

  /** What a process has that knows these secrets. */
  async function open(secrets: readonly string[] | (() => readonly string[]), more: Partial<RekeyParts> = {}) {
    const unit = createUnitOfWork(connected.db)
    const known = typeof secrets === 'function' ? secrets : () => secrets
    const opened = await openKeyRing({ db: connected.db, secrets: known, makeSecret: () => OLD, now })
    const ring = createKeyRing(opened.keys)
    const reported: unknown[] = []
    const { refresh } = followRing({
      ring,
      opened,
      read: () => readRow(connected.db),
      secrets: known,
      vouched: () => undefined,
      onChange: () => undefined,
      clock: () => time,
      report: (error) => void reported.push(error),
    })
    const rekey = createRekey({
      unit,
      ring,
      secrets: known,
      reseal: [],
      lifetimes: LIFETIMES,
      audit: createAudit({ unit, now, requestId: () => undefined }),
      now,
      sleep: async (milliseconds) => {
        time += milliseconds
      },
      ...more,
    })
    return { ring, refresh, rekey, reported }
  }
  const kinds = async () =>
    (await connected.pool.query('select kind from audit_entries order by id')).rows.map(({ kind }) => kind)

  it('the secret changes by a list on every node, one command, and then the new one alone', async () => {
    const running = await open([OLD])
    const value = running.ring.handle('x', 'y')
    const { rekey } = await open([NEW, OLD])
    expect(await rekey.rewrap('operator')).toEqual({ was: 2, of: 2 })
    expect(await rekey.rewrap('operator')).toEqual({ was: 1, of: 2 })
    expect(await kinds()).toEqual(['ring.rewrapped'])
    expect((await open([NEW])).ring.handle('x', 'y')).toEqual(value)
    await expect(open([OLD])).rejects.toMatchObject({ name: 'OperatorFault' })
    // Nothing has changed for a process that has it open.
    time += 2000
    await running.refresh()
    expect([running.ring.handle('x', 'y'), running.reported]).toEqual([value, []])
  })

  it('a process that cannot open a ring whose keys have changed says so once, and answers 503 until it can', async () => {
    const secrets = [OLD]
    const running = await open(secrets)
    const { rekey } = await open([NEW, OLD])
    await rekey.rewrap('operator')
    await rekey.addVersion('operator')
    for (let times = 0; times < 2; times++) await expect(running.refresh()).rejects.toMatchObject({ status: 503 })
    expect(running.reported).toHaveLength(1)
    secrets.unshift(NEW)
    time += 2000
    await running.refresh()
    expect(running.ring.version).toBe(2)
  })

  it('a version is known to every process before any uses it', async () => {
    const running = await open([OLD])
    const seen: unknown[] = []
    const { ring, rekey } = await open([OLD], {
      sleep: async (milliseconds) => {
        time += milliseconds / 2
        await running.refresh()
        seen.push([running.ring.version, running.ring.keys.versions.length, ring.version])
        time += milliseconds / 2
      },
    })
    await rekey.addVersion('operator')
    expect(seen).toEqual([
      [1, 2, 1],
      [2, 2, 2],
    ])
    expect(running.ring.knows(ring.mark('x'.repeat(43)))).toBe(true)
  })

  it('a process that was asleep meanwhile does not take what it cannot read for nothing', async () => {
    const running = await open([OLD])
    const { ring, rekey } = await open([OLD])
    await rekey.addVersion('operator')
    const young = ring.mark('x'.repeat(43))
    expect(() => running.ring.handle('session', young)).toThrow(/not looked at for too long/)
    expect(() => running.ring.open('x', ring.seal('x', Buffer.from('y')))).toThrow(/not looked at for too long/)
    await running.refresh()
    expect(running.ring.handle('session', young)).toEqual(ring.handle('session', young))
    expect(running.ring.handle('session', `9.${'x'.repeat(43)}`)).toHaveLength(16) // a stranger's, and nothing
  })

  it('a change that was interrupted after its first step is gone on with, and makes no third version', async () => {
    const dying = await open([OLD], { sleep: () => Promise.reject(new Error('killed')) })
    await expect(dying.rekey.addVersion('operator')).rejects.toThrow('killed')
    expect((await open([OLD])).ring.keys).toMatchObject({ current: 1, versions: [{ id: 1 }, { id: 2 }] })
    expect(await (await open([OLD])).rekey.addVersion('operator')).toMatchObject({ version: 2 })
    expect(await kinds()).toEqual(['ring.version-added', 'ring.version-used'])
  })

  it('two changes at once make one version, and none is used before it was known for long enough', async () => {
    const dying = await open([OLD], { sleep: () => Promise.reject(new Error('killed')) })
    let slept = 0
    const slow = await open([OLD], {
      async sleep() {
        slept += 1
        if (slept > 1) return
        // While it waits, another goes on with the same version, and a third publishes the next one.
        expect(await (await open([OLD])).rekey.addVersion('operator')).toMatchObject({ version: 2 })
        await expect(dying.rekey.addVersion('operator')).rejects.toThrow('killed')
      },
    })
    expect(await slow.rekey.addVersion('operator')).toMatchObject({ version: 2 })
    expect((await open([OLD])).ring.keys).toMatchObject({ current: 2, versions: [{ id: 1 }, { id: 2 }, { id: 3 }] })
    expect(await kinds()).toEqual(['ring.version-added', 'ring.version-used', 'ring.version-added'])
  })

  it('older keys are dropped when what is made under them cannot live any more', async () => {
    const { rekey, ring } = await open([OLD])
    await rekey.addVersion('operator')
    await connected.pool.query(`insert into sessions (id_hash, uid, payload, expires_at)
      values ('\\x01', 'u', '{}', '2031-01-01')`)
    const refused = await rekey.dropOld('operator', false)
    expect(refused).toMatchObject({
      dropped: [],
      needed: [{ what: 'access tokens', version: 1 }, { what: 'login sessions' }],
    })
    expect((await open([OLD])).ring.keys.versions).toHaveLength(2)
    time += 2 * DAY * 1000
    expect(await rekey.dropOld('operator', false)).toMatchObject({
      dropped: [],
      needed: [{ what: 'login sessions', count: 1 }],
    })
    time += 6 * DAY * 1000
    expect(await rekey.dropOld('operator', false)).toEqual({ dropped: [1], needed: [] })
    expect([(await open([OLD])).ring.keys.versions.map(({ id }) => id), ring.version]).toEqual([[2], 2])
    expect(await rekey.dropOld('operator', false)).toEqual({ dropped: [], needed: [] })
  })

  describe('secret.key', () => {
    let dataDir: string
    beforeEach(async () => {
      dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-rekey-'))
      writeSecretFile(dataDir, [OLD])
    })
    afterEach(() => rm(dataDir, { recursive: true, force: true }))

    const fromFile = (write = (secrets: readonly string[]) => writeSecretFile(dataDir, secrets)) =>
      open(() => readSecretFile(dataDir), { writeSecrets: write })

    it('gets a new secret, and the old one opens nothing any more', async () => {
      const value = (await fromFile()).ring.handle('x', 'y')
      await (await fromFile()).rekey.makeSecret('operator')
      const secrets = readSecretFile(dataDir)
      expect([secrets.length, secrets.includes(OLD)]).toEqual([1, false])
      expect((await fromFile()).ring.handle('x', 'y')).toEqual(value)
      await expect(open([OLD])).rejects.toThrow()
      expect([statSync(join(dataDir, 'secret.key')).mode & 0o777, await kinds()]).toEqual([0o600, ['ring.rewrapped']])
    })

    it.each([1, 2, 3, 4])(
      'whatever comes to an end at write %d, it opens, and the next change clears up',
      async (fatal) => {
        const value = (await fromFile()).ring.handle('x', 'y')
        let writes = 0
        const die = () => {
          writes += 1
          if (writes === fatal) throw new Error('killed')
        }
        const dying = await fromFile((secrets) => {
          die() // before the file is there
          writeSecretFile(dataDir, secrets)
          die() // after it, and before the transaction is committed, or the command has said so
        })
        await expect(dying.rekey.makeSecret('operator')).rejects.toThrow('killed')
        expect((await fromFile()).ring.handle('x', 'y')).toEqual(value)
        await (await fromFile()).rekey.rewrap('operator')
        expect(readSecretFile(dataDir)).toHaveLength(1)
        expect((await fromFile()).ring.handle('x', 'y')).toEqual(value)
      },
    )

    it('is left alone where the secret comes from the environment', async () => {
      const { rekey } = await open([OLD])
      await expect(rekey.makeSecret('operator')).rejects.toMatchObject({ advice: expect.stringContaining('new,old') })
      expect(readSecretFile(dataDir)).toEqual([OLD])
    })
  })
})

it('a server without the newest secret goes on until the keys change, then it is not ready, and signs nobody out', async () => {
  const database = await createTestDatabase()
  const settings = { PORT: String(await freePort()), DATABASE_URL: database.url, LOG_LEVEL: 'error' }
  const server = await startProcess({ ...settings, GATEHOUSE_SECRET: OLD })
  const status = async (path: string) => (await send(server.port, path, { headers: { host } })).status
  const host = `localhost:${settings.PORT}`
  const rekey = (...args: string[]) =>
    runCommand({ ...settings, GATEHOUSE_SECRET: `${NEW},${OLD}` }, ['rekey', ...args])
  try {
    const before = await send(server.port, '/logout', { headers: { host } })
    expect(before.status).toBe(200)
    expect((await rekey('--json')).json).toEqual({ rewrapped: true, was: 2, of: 2 })
    expect([await status('/readyz'), await status('/logout')]).toEqual([200, 200])
    expect((await rekey('--ring')).code).toBe(0)
    expect([await status('/readyz'), await status('/logout'), await status('/healthz')]).toEqual([503, 503, 200])
    const cookie = [before.headers['set-cookie'] ?? []]
      .flat()
      .map((one) => one.split(';')[0])
      .join('; ')
    const refused = await send(server.port, '/logout', { headers: { host, cookie } })
    expect([refused.status, refused.headers['retry-after'], refused.headers['set-cookie']]).toEqual([
      503,
      '2',
      undefined,
    ])
    // Once for each of the two steps, however many ask.
    const told = () => server.log().match(/the key ring was changed and does not open/g) ?? []
    await until(() => told().length >= 2)
    expect(told()).toHaveLength(2)
  } finally {
    await server.stop()
    await database.drop()
  }
})

describe('an installation with the embedded database', () => {
  it('kill -9 of rekey at any moment, beside a running server, leaves a ring that opens', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-rekey-'))
    const settings = {
      PORT: String(await freePort()),
      GATEHOUSE_GATEWAY_PORT: String(await freePort()),
      GATEHOUSE_DATA_DIR: join(folder, 'data'),
      LOG_LEVEL: 'warn',
    }
    const file = join(folder, 'data/secret.key')
    let server = await startProcess(settings)
    let place = ''
    try {
      place = JSON.parse(await readFile(join(folder, 'data/database.json'), 'utf8')).place
      place = join(folder, 'data', place).replace(/^.*(?=\/var\/lib\/gatehouse\/)/, '')
      const first = readFileSync(file, 'utf8')
      for (const moment of ['file', 2]) await killAt(startRekey(settings), file, moment)
      await server.stop()
      server = await startProcess(settings) // with whatever secret is first now
      expect(await runCommand(settings, ['rekey', '--make-secret', '--json'])).toMatchObject({
        code: 0,
        json: { secret_made: true },
      })
      const last = readFileSync(file, 'utf8')
      expect([last.split('\n').length, last.includes(first.trim())]).toEqual([2, false])
      expect((await runCommand(settings, ['status', '--json'])).json).toMatchObject({ running: true })
      expect(server.log()).not.toMatch(/does not open/)
    } finally {
      await server.stop()
      for (const left of [place, folder]) if (left) await rm(left, { recursive: true, force: true })
    }
  })
})

function startRekey(settings: Record<string, string>): ChildProcess {
  const command = ['--disable-warning=ExperimentalWarning', MAIN, 'rekey', '--make-secret']
  return spawn(process.execPath, command, { env: cleanEnv(settings), stdio: 'ignore' })
}

/** @param moment `file`: as soon as secret.key has changed; a number: milliseconds after that */
async function killAt(child: ChildProcess, file: string, moment: string | number): Promise<void> {
  const ended = once(child, 'exit')
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const since = performance.now()
  while (child.exitCode === null && performance.now() - since < 15_000 && readFileSync(file, 'utf8') === before)
    await sleep(0)
  if (typeof moment === 'number') await sleep(moment)
  child.kill('SIGKILL')
  await ended
}
