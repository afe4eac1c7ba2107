// The environment: what each setting means, and that an operator hears of everything that is wrong in one go.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isLocal, makeSecret, readConfig, readSecrets } from '../src/config.ts'
import { OperatorFault } from '../src/vocabulary/fault.ts'

const SECRET = 'a secret that is long enough to be taken'
const PUBLIC = { GATEHOUSE_ISSUER: 'https://login.example.com' }

/** @returns what is said of these settings; fails when nothing is */
function refusal(env: Record<string, string>): OperatorFault {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof OperatorFault) return error
    throw error
  }
  throw new Error(`taken: ${JSON.stringify(env)}`)
}
/** One entry per fault. */
const faults = (env: Record<string, string>) => {
  const { message } = refusal(env)
  return message.includes('\n') ? message.split('\n  - ').slice(1) : [message.replace(/^A setting is not right: /, '')]
}

describe('what is not set has a default', () => {
  it('an empty environment is a server on this machine with an embedded database', () => {
    expect(readConfig({})).toEqual({
      port: 3000,
      gatewayPort: 3001,
      workers: 1,
      hosts: ['127.0.0.1', '::1'],
      issuer: 'http://localhost:3000',
      databaseUrl: undefined,
      migrateUrl: undefined,
      connectionsPerAddress: 1000,
      ipv6Prefix: 64,
      databaseConnections: 16,
      dataDir: resolve('data'),
      secrets: [],
      trustedProxies: [],
      logLevel: 'info',
      profile: undefined,
    })
  })

  it('an empty value is none, and what belongs to others is left alone', () => {
    const env = {
      PORT: '',
      HOST: '',
      GATEHOUSE_SECRET: '',
      DATABASE_URL: '',
      LOG_LEVEL: '',
      PATH: '/bin',
      NODE_ENV: 'x',
    }
    expect(readConfig({ ...env, GATEHOUSE_PROFILE: undefined })).toEqual(readConfig({}))
  })

  it('workers share what a PostgreSQL has to give, unless they are told otherwise', () => {
    expect(readConfig({ WORKERS: '8' }).databaseConnections).toBe(8)
    expect(readConfig({ WORKERS: '2' }).databaseConnections).toBe(16)
    for (const set of ['1', '40'])
      expect(readConfig({ WORKERS: '8', GATEHOUSE_DATABASE_CONNECTIONS: set }).databaseConnections).toBe(Number(set))
  })

  it('PORT moves the issuer and the gateway along; each may be set apart', () => {
    expect(readConfig({ PORT: '4000' })).toMatchObject({ issuer: 'http://localhost:4000', gatewayPort: 4001 })
    expect(readConfig({ PORT: '80' })).toMatchObject({ port: 80, issuer: 'http://localhost' })
    const apart = { PORT: '65535', GATEHOUSE_GATEWAY_PORT: '1', GATEHOUSE_ISSUER: 'http://127.0.0.1:8080' }
    expect(readConfig(apart)).toMatchObject({ port: 65535, gatewayPort: 1, issuer: 'http://127.0.0.1:8080' })
  })

  it('a public server listens everywhere, one of this machine on loopback only; HOST decides', () => {
    expect(readConfig(PUBLIC).hosts).toEqual(['::'])
    for (const issuer of ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:3000', 'https://localhost'])
      expect(readConfig({ GATEHOUSE_ISSUER: issuer }).hosts).toEqual(['127.0.0.1', '::1'])
    expect(readConfig({ ...PUBLIC, HOST: '10.0.0.5' }).hosts).toEqual(['10.0.0.5'])
  })

  it('cannot be changed afterwards', () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true)
  })
})

describe('lists', () => {
  it('secrets come newest first, without the spaces around them', () => {
    expect(readConfig({ GATEHOUSE_SECRET: ` ${SECRET} , ${SECRET}2,, ` }).secrets).toEqual([SECRET, `${SECRET}2`])
  })

  it('proxies are addresses and networks', () => {
    const all = '10.0.0.0/8, 127.0.0.1,::1 ,fd00::/8,::ffff:10.0.0.1'
    expect(readConfig({ GATEHOUSE_TRUSTED_PROXIES: all }).trustedProxies).toEqual(
      all.split(',').map((one) => one.trim()),
    )
  })
})

describe('one fault each', () => {
  const each: readonly [Record<string, string>, RegExp][] = [
    [{ PORT: 'http' }, /^PORT must be a number/],
    [{ PORT: '3000.5' }, /^PORT must be a whole number/],
    [{ PORT: '0' }, /^PORT must be from 1 to 65535/],
    [{ PORT: '65536', GATEHOUSE_GATEWAY_PORT: '1' }, /^PORT must be from 1 to 65535/],
    [{ PORT: '65535' }, /^GATEHOUSE_GATEWAY_PORT must be set/],
    [{ GATEHOUSE_DATABASE_CONNECTIONS: '0' }, /^GATEHOUSE_DATABASE_CONNECTIONS must be from 1 to 500/],
    [{ GATEHOUSE_DATABASE_CONNECTIONS: 'many' }, /^GATEHOUSE_DATABASE_CONNECTIONS must be a number/],
    [{ GATEHOUSE_GATEWAY_PORT: '-1' }, /^GATEHOUSE_GATEWAY_PORT must be from/],
    [{ GATEHOUSE_GATEWAY_PORT: '3000' }, /^GATEHOUSE_GATEWAY_PORT must differ/],
    [{ GATEHOUSE_ISSUER: 'login.example.com' }, /^GATEHOUSE_ISSUER must be a URL/],
    [{ GATEHOUSE_ISSUER: 'ftp://login.example.com' }, /^GATEHOUSE_ISSUER must be an https URL/],
    [{ GATEHOUSE_ISSUER: 'http://login.example.com' }, /^GATEHOUSE_ISSUER must be https/],
    [{ GATEHOUSE_ISSUER: 'http://127.0.0.2:3000' }, /^GATEHOUSE_ISSUER must be https/],
    [{ GATEHOUSE_ISSUER: 'http://localhost.:3000' }, /^GATEHOUSE_ISSUER must be https/],
    [{ GATEHOUSE_ISSUER: 'https://user:word@login.example.com' }, /^GATEHOUSE_ISSUER must have no .*credentials/],
    [{ GATEHOUSE_ISSUER: 'https://login.example.com/?x' }, /^GATEHOUSE_ISSUER must have no query/],
    [
      { GATEHOUSE_ISSUER: 'https://login.example.com/auth' },
      /^GATEHOUSE_ISSUER must be written .*: https:\/\/login\.example\.com/,
    ],
    [
      { GATEHOUSE_ISSUER: 'https://LOGIN.example.com' },
      /^GATEHOUSE_ISSUER must be written .*https:\/\/login\.example\.com/,
    ],
    [
      { GATEHOUSE_ISSUER: 'https://login.example.com:443' },
      /^GATEHOUSE_ISSUER must be written .*https:\/\/login\.example\.com/,
    ],
    [{ GATEHOUSE_ISSUER: 'https://login.example.com//' }, /^GATEHOUSE_ISSUER must be written/],
    [{ GATEHOUSE_SECRET: 'short' }, /^GATEHOUSE_SECRET needs at least 32 bytes/],
    [{ GATEHOUSE_SECRET: 'x'.repeat(31) }, /^GATEHOUSE_SECRET needs at least 32 bytes/],
    [{ GATEHOUSE_SECRET: `${SECRET},short` }, /^GATEHOUSE_SECRET needs at least 32 bytes in every entry/],
    [{ DATABASE_URL: 'postgresql://localhost/gatehouse' }, /^GATEHOUSE_SECRET is required/],
    [{ DATABASE_URL: 'mysql://localhost/x', GATEHOUSE_SECRET: SECRET }, /^DATABASE_URL must look like postgresql:/],
    [{ DATABASE_URL: 'localhost/x', GATEHOUSE_SECRET: SECRET }, /^DATABASE_URL must look like/],
    [{ GATEHOUSE_MIGRATE_URL: 'postgresql://' }, /^GATEHOUSE_MIGRATE_URL must look like/],
    [{ GATEHOUSE_PROFILE: 'production' }, /^GATEHOUSE_PROFILE can only be "test"/],
    [{ ...PUBLIC, GATEHOUSE_PROFILE: 'test' }, /^GATEHOUSE_PROFILE=test is refused/],
    [{ GATEHOUSE_TRUSTED_PROXIES: 'proxy.internal' }, /"proxy.internal" is no address/],
    [{ GATEHOUSE_TRUSTED_PROXIES: '10.0.0.0/33' }, /"10.0.0.0\/33" is no address/],
    [{ GATEHOUSE_TRUSTED_PROXIES: '1' }, /"1" is no address/],
    [{ GATEHOUSE_TRUSTED_PROXIES: '10.0/8' }, /"10.0\/8" is no address/],
    [{ GATEHOUSE_TRUSTED_PROXIES: 'true' }, /"true" is no address/],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL must be one of trace, debug/],
  ]
  it.each(each)('%j', (env, words) => {
    expect(faults(env)).toEqual([expect.stringMatching(words)])
    expect(refusal(env)).toMatchObject({ exitCode: 1, advice: expect.stringContaining('start again') })
  })

  it('a secret, or a password in an address, is not repeated', () => {
    const { message, advice } = refusal({ GATEHOUSE_SECRET: 'hunter2', DATABASE_URL: 'mysql://me:hunter3@db/x' })
    expect(`${message} ${advice}`).not.toMatch(/hunter/)
  })
})

it('everything that is wrong is said at once, whatever kind it is of', () => {
  const env = {
    PORT: 'x',
    GATEHOUSE_GATEWAY_PORT: '99999',
    GATEHOUSE_ISSUER: 'http://login.example.com',
    DATABASE_URL: 'mysql://db/x',
    GATEHOUSE_MIGRATE_URL: 'nothing',
    GATEHOUSE_SECRET: 'short',
    GATEHOUSE_PROFILE: 'dev',
    GATEHOUSE_TRUSTED_PROXIES: '*, 10.0.0.1, any',
    LOG_LEVEL: 'loud',
    WORKERS: '0',
  }
  const all = faults(env)
  expect(all.map((fault) => /^\w+/.exec(fault)![0]).sort()).toEqual(
    [...Object.keys(env), 'GATEHOUSE_TRUSTED_PROXIES'].sort(),
  )
  expect(refusal(env).message).toMatch(/^11 settings are not right:\n/)
  // A setting that is wrong in itself still counts as set.
  expect(faults({ DATABASE_URL: 'mysql://db/x' })).toEqual([
    expect.stringMatching(/^DATABASE_URL/),
    expect.stringMatching(/^GATEHOUSE_SECRET is required/),
  ])
})

it('isLocal: this machine by name or address, and nothing that looks like it', () => {
  const local = ['http://localhost', 'https://localhost:1', 'http://127.0.0.1:3000', 'http://[::1]']
  const others = [
    'http://localhost.example.com',
    'http://127.0.0.1.nip.io',
    'http://0.0.0.0',
    'https://example.com',
    '',
    'x',
  ]
  expect([local.filter(isLocal), others.filter(isLocal)]).toEqual([local, []])
})

describe('the secret of an embedded database', () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = join(mkdtempSync(join(tmpdir(), 'gatehouse-config-')), 'data')
  })
  afterEach(() => rmSync(join(dataDir, '..'), { recursive: true, force: true }))

  it('is made once, at random, readable by its owner alone', () => {
    expect(readSecrets({ secrets: [], dataDir })).toEqual([])
    const made = makeSecret({ dataDir })
    expect(Buffer.byteLength(made)).toBeGreaterThanOrEqual(48)
    expect(readSecrets({ secrets: [], dataDir })).toEqual([made])
    expect([statSync(join(dataDir, 'secret.key')).mode & 0o777, statSync(dataDir).mode & 0o777]).toEqual([0o600, 0o700])
    expect(makeSecret({ dataDir })).not.toBe(made)
  })

  it('is not looked for where one is set', () => {
    makeSecret({ dataDir })
    expect(readSecrets({ secrets: [SECRET], dataDir })).toEqual([SECRET])
  })

  it.each(['', 'short', '\n'])('damaged (%j), it is refused and left as it is', (text) => {
    makeSecret({ dataDir })
    const file = join(dataDir, 'secret.key')
    writeFileSync(file, text)
    expect(() => readSecrets({ secrets: [], dataDir })).toThrow(OperatorFault)
    expect(readFileSync(file, 'utf8')).toBe(text)
  })
})
