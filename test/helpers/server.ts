// A whole Gatehouse in this process, listening on a free port, over a database of its own.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { createCanaries } from '../../faults/canaries.ts'
import type { ClientFields } from '../../src/clients/client.ts'
import { readConfig } from '../../src/config.ts'
import { startLive } from '../../src/db/live.ts'
import { trustedProxies } from '../../src/http/trusted-proxies.ts'
import { openDatabase } from '../../src/open-database.ts'
import { listen } from '../../src/port/listen.ts'
import type { Engine } from '../../src/provider/create.ts'
import type { Resource } from '../../src/resources/resource.ts'
import { buildServer } from '../../src/server/build.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import type { KeyTimes } from '../../src/signing-keys/times.ts'
import { buildRooms, type Rooms } from '../../src/wire.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'

/** At least 32 bytes, as every installation needs. */
export const TEST_SECRET = 'a secret of the tests that is long enough to be taken'
export const PASSWORD = 'four mossy lanterns by the gate'

// Whatever a test is about, no log of its servers may hold a secret that was sent, answered or made meanwhile (S-214).
const canaries = createCanaries()
canaries.add(TEST_SECRET)
canaries.add(PASSWORD)
let watching = false

export interface TestServer {
  readonly issuer: string
  readonly rooms: Rooms
  readonly engine: Engine
  readonly database: TestDatabase
  /** every line that was logged */
  readonly log: string[]
  /** Adds a client; `fields` override a third-party web client. @returns its secret, '' for public clients */
  addClient(fields: Partial<ClientFields> & { id: string }): Promise<string>
  addResource(resource: Partial<Resource> & { id: string }): Promise<Resource>
  /** Adds a person whose password is PASSWORD. @returns the subject */
  addPerson(email: string): Promise<string>
  /** @throws Error when the log holds a secret */
  stop(): Promise<void>
}

// A server is started seconds after its port was drawn. Until then nobody else may come by it: neither the system, which gives
// away ports from 32768 on, nor another worker of Jest, nor the next draw. The first one differs, for tests of another run.
const PORTS = { first: 20_000 + 2_000 * (Number(process.env.JEST_WORKER_ID ?? 0) % 6), count: 2_000 }
let drawn = 2 * randomInt(PORTS.count / 2)

/** @returns a port that is free, and the next one with it, where a local gateway is looked for; no two calls give the same */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS.count / 2; tries += 1) {
    drawn = (drawn + 2) % PORTS.count
    const port = PORTS.first + drawn
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
  throw new Error('no port is free')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export const ORDERS = 'https://orders.example.com'
export const THINGS = 'https://things.example.com'

/**
 * @param options `env` adds settings; `database` shares one that is there (it is dropped only by who made it)
 */
export async function startTestServer(
  options: { env?: Record<string, string>; database?: TestDatabase; keyTimes?: KeyTimes } = {},
): Promise<TestServer> {
  if (!watching) canaries.watchFetch()
  watching = true
  const database = options.database ?? (await createTestDatabase())
  const port = await freePort()
  const issuer = `http://localhost:${port}`
  const config = readConfig({
    PORT: String(port),
    GATEHOUSE_SECRET: TEST_SECRET,
    DATABASE_URL: database.url,
    ...options.env,
  })
  const log: string[] = []
  const logger = pino(
    { level: 'trace' },
    new Writable({ write: (line, _encoding, done) => done(void log.push(String(line))) }),
  )
  const opened = await openDatabase(config, { role: 'server', say: () => undefined })
  const live = startLive({
    connection: opened.connection,
    primary: opened.primary,
    clock: () => performance.now(),
    report: (error) => logger.warn({ err: error }, 'not live'),
  })
  const rooms = await buildRooms({ config, db: opened.db, log: logger, live, keyTimes: options.keyTimes })
  const { app, engine } = buildServer({
    rooms,
    metrics: createMetrics({ version: '0.0.0', pool: opened.pool, databaseUp: async () => true }),
    log: logger,
    health: { ready: async () => true },
    landing: {
      describe: async () => ({
        issuer: config.issuer,
        version: '0.0.0',
        urls: [],
        commands: [],
        adminConfigured: true,
      }),
    },
  })
  const listening = await listen(app.callback(), port, ['127.0.0.1', '::1'], {
    perAddress: config.connectionsPerAddress,
    isTrusted: trustedProxies(config.trustedProxies),
  })

  return {
    issuer: options.env?.GATEHOUSE_ISSUER ?? issuer,
    rooms,
    engine,
    database,
    log,

    async addClient(fields) {
      const added = await rooms.clients.add({ ...WEB_CLIENT, name: fields.id, ...fields }, 'operator')
      if (!added.ok) throw new Error(`client ${fields.id} is there already`)
      canaries.add(added.secret)
      return added.secret ?? ''
    },

    async addResource(fields) {
      const resource: Resource = { name: fields.id, format: 'jwt', sign: 'ES256', lifetime: 600, scopes: [], ...fields }
      await rooms.resources.add(resource, 'operator')
      return resource
    },

    async addPerson(email) {
      const account = await rooms.accounts.add({ email, name: 'Ada Lovelace' }, 'operator')
      if (!account) throw new Error(`${email} is there already`)
      const fault = await rooms.accounts.setPassword(account.id, PASSWORD, 'operator')
      if (fault) throw new Error(fault)
      return account.id
    },

    async stop() {
      await listening.close(1)
      await live.stop()
      await opened.close()
      if (!options.database) await database.drop()
      const told = canaries.findIn(log.join(''))
      if (told.length > 0) throw new Error(`secrets in the log of the server: ${told.join()}`)
    },
  }
}

/** Where the test clients' redirects lead; nobody listens there. */
export const CALLBACK = 'http://localhost:9/callback'

const WEB_CLIENT: Omit<ClientFields, 'id' | 'name'> = {
  kind: 'web',
  authMethod: 'client_secret_basic',
  firstParty: false,
  redirectUris: [CALLBACK],
  postLogoutRedirectUris: ['http://localhost:9/'],
  responseModes: ['query'],
  requirePar: false,
  dpop: 'optional',
  refresh: 'session',
  scopes: { [ORDERS]: ['orders:read', 'orders:write'] },
  serves: [],
}

/** A client that gets tokens for THINGS by itself. @returns its id and secret */
export async function addMachine(server: TestServer): Promise<{ id: string; secret: string }> {
  const scopes = { [THINGS]: ['things:read'] }
  return { id: 'machine', secret: await server.addClient({ id: 'machine', ...SERVICE, scopes }) }
}

const SERVICE = { kind: 'service', redirectUris: [], postLogoutRedirectUris: [], refresh: 'none' } as const

/** The usual cast: resources ORDERS (JWT) and THINGS (opaque), clients, and ada@example.com. */
export async function addCast(server: TestServer) {
  await server.addResource({
    id: ORDERS,
    name: 'Orders',
    scopes: [
      { name: 'orders:read', text: 'See your orders', risk: 'normal', byDefault: true },
      { name: 'orders:write', text: 'Place and cancel orders', risk: 'high', byDefault: false },
    ],
  })
  await server.addResource({
    id: THINGS,
    name: 'Things',
    format: 'opaque',
    scopes: [{ name: 'things:read', text: 'See your things', risk: 'normal', byDefault: true }],
  })
  const both = { [ORDERS]: ['orders:read', 'orders:write'], [THINGS]: ['things:read'] }
  return {
    ada: await server.addPerson('ada@example.com'),
    /** third-party, confidential */
    shop: await server.addClient({ id: 'shop', name: 'Corner Shop', scopes: both }),
    /** first-party, public, rotated refresh tokens */
    spa: await server.addClient({
      id: 'spa',
      name: 'Our app',
      kind: 'spa',
      authMethod: 'none',
      firstParty: true,
      scopes: both,
    }),
    /** may read orders by itself */
    billing: await server.addClient({ id: 'billing', ...SERVICE, scopes: { [ORDERS]: ['orders:read'] } }),
    /** resource server of both resources */
    api: await server.addClient({ id: 'orders-api', ...SERVICE, scopes: {}, serves: [ORDERS, THINGS] }),
    /** resource server of neither */
    stranger: await server.addClient({
      id: 'other-api',
      ...SERVICE,
      scopes: {},
      serves: ['https://other.example.com'],
    }),
  }
}
