// Builds the rooms from Config, bottom first, handing each only what it needs. No HTTP here.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createAccounts } from './accounts/create.ts'
import { createAudit } from './audit/append.ts'
import { createHandler } from './authorizer/handler.ts'
import type { ClientFields } from './clients/client.ts'
import { createClientRegister } from './clients/register.ts'
import { createClientSecretStore } from './clients/secret-store.ts'
import { createSecretUse } from './clients/secret-use.ts'
import { listSealedSecrets, openSecret, resealSecrets, verifySecret } from './clients/secrets.ts'
import { createClientStore } from './clients/store.ts'
import type { Config } from './config.ts'
import { cached } from './db/cached.ts'
import type { Live, Topic } from './db/live.ts'
import { createUnitOfWork, type Db, type UnitOfWork } from './db/unit-of-work.ts'
import { createEndings } from './endings/end.ts'
import { createWithdraw } from './endings/withdraw.ts'
import { createCookieSigner } from './http/cookie-signer.ts'
import { currentRequestId } from './http/request-id.ts'
import { LIFETIMES } from './provider/parts.ts'
import { createResourceRegister } from './resources/register.ts'
import { createResourceStore } from './resources/store.ts'
import { createRekey } from './secrets/rekey.ts'
import { writeSecretFile } from './secrets/secret-file.ts'
import { createConsents } from './sessions/consents.ts'
import { createGrants, grantKey } from './sessions/grants.ts'
import { createInteractions } from './sessions/interactions.ts'
import { createSessions } from './sessions/sessions.ts'
import type { KeyTimes } from './signing-keys/times.ts'
import { createThrottle } from './throttle/create.ts'
import { createAccessTokens } from './tokens/access-tokens.ts'
import { createCodes } from './tokens/codes.ts'
import { createFamilies } from './tokens/families.ts'
import { createPushedRequests } from './tokens/pushed-requests.ts'
import { createReplays } from './tokens/replay.ts'
import { createRevoke } from './tokens/revoke.ts'
import { LONGEST_ACCESS_TOKEN_SECONDS } from './vocabulary/access-token.ts'
import type { RouteMap } from './vocabulary/route-map.ts'
import { buildRing, buildSigningKeys, KEY_TIMES } from './wire-keys.ts'

/** Our own version, as package.json has it. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

const now = () => new Date()

/**
 * The authorizer that the local gateway asks: the very handler of the Lambda, with settings handed in.
 * @param log takes one line per decision
 */
export function createAuthorizer(
  config: Config,
  audience: string,
  routes: RouteMap,
  log: Logger,
): (event: unknown) => Promise<object> {
  return createHandler({ issuer: config.issuer, audience, routes }, { log: (entry) => log.debug(entry, 'authorizer') })
}

/** Every room, over one database. */
export type Rooms = Awaited<ReturnType<typeof buildRooms>>

export interface RoomParts {
  readonly config: Config
  readonly db: Db
  readonly log: Logger
  /** a server's; a command keeps nothing in memory */
  readonly live?: Live
  /** others than ours are for experiments */
  readonly keyTimes?: KeyTimes
}

/**
 * @throws OperatorFault when GATEHOUSE_SECRET does not open the key ring of this database
 */
export async function buildRooms({ config, db, log, live, keyTimes = KEY_TIMES }: RoomParts) {
  const unit = createUnitOfWork(db)
  const { ring, refreshRing, ringSecrets } = await buildRing({ config, db, log, live, now })
  const audit = createAudit({ unit, now, requestId: currentRequestId })

  const endings = createEndings({ unit, now })
  const families = createFamilies({ unit, ring, now })
  const accessTokens = createAccessTokens({ unit, ring })
  const revoke = createRevoke({ unit, ring, now, accessTokens, families, end: endings.end })
  const sessions = createSessions({ unit, ring, now })
  const grants = createGrants({ unit, now })

  const clientStore = createClientStore({ unit, now })
  const secretStore = createClientSecretStore({ unit })
  const secretUse = createSecretUse({ store: secretStore, now })
  const secrets = { store: secretStore, ring, now, onOldHash: secretUse.noteHash }
  const clients = createClientRegister({
    unit,
    store: clientStore,
    secrets,
    audit,
    now,
    noteEnd: (id, epoch, reason) => endings.endEpoch('client', id, epoch, reason),
  })
  const resourceStore = createResourceStore({ unit, now })
  const resources = createResourceRegister({
    unit,
    store: resourceStore,
    audit,
    clientsNaming: clientStore.namingResource,
  })
  const accounts = createAccounts({
    unit,
    ring,
    audit,
    now,
    noteEnd: async (id, epoch, reason) => {
      await endings.endEpoch('account', id, epoch, reason)
      await sessions.endAll(id)
    },
  })
  const signingKeys = await buildSigningKeys({
    ...{ unit, ring, refreshRing, audit, now, log, live, times: keyTimes },
    endKey: (kid) => endings.endNamed('key', kid, 'key-compromised'),
    listResources: resourceStore.list,
  })
  const secretsAtHand = cachedFor({ unit, live }, 'clients', secrets.store.list)

  const rekey = createRekey({
    unit,
    ring,
    secrets: ringSecrets,
    ...(config.secrets.length === 0 && { writeSecrets: (list) => writeSecretFile(config.dataDir, list) }),
    reseal: [signingKeys.reseal, () => resealSecrets(secrets)],
    lifetimes: {
      session: LIFETIMES.sessionAbsolute,
      family: LIFETIMES.refreshAbsolute,
      accessToken: LONGEST_ACCESS_TOKEN_SECONDS,
    },
    audit,
    now,
    sleep,
  })

  const consents = createConsents({ unit, now })
  const withdraw = createWithdraw({
    unit,
    audit,
    endNamed: endings.endNamed,
    endSession: sessions.endByUid,
    endGrant: async (id, reason) => (await grants.destroy(id)) && revoke.grant(grantKey(id), reason),
    grantsOf: grants.listOf,
    forgetConsent: consents.forget,
  })

  return {
    config,
    log,
    live,
    unit,
    ring,
    refreshRing,
    rekey,
    cookieSigner: createCookieSigner(ring),
    audit,
    now,
    clients: {
      ...telling({ unit, live }, 'clients', clients),
      find: clientStore.find,
      list: clientStore.list,
      listSecrets: secrets.store.list,
      stands: async (id: string, epoch: string) => {
        const client = await clientStore.find(id)
        return client !== undefined && !client.disabledAt && client.epoch === epoch
      },
      secretUse,
    },
    resources: {
      ...telling({ unit, live }, 'resources', resources),
      find: resourceStore.find,
      list: resourceStore.list,
    },
    /** for the hot path: from memory where it can be, a second old at most */
    atHand: {
      findClient: cachedFor({ unit, live }, 'clients', clientStore.find),
      sealedSecrets: {
        list: (id: string) => listSealedSecrets({ store: { list: secretsAtHand }, now }, id),
        open: (id: string, sealed: Buffer) => openSecret(secrets, id, sealed),
        noteUse: secretUse.note,
      },
      async verifySecret(id: string, presented: string): Promise<boolean> {
        const used = await verifySecret({ ...secrets, store: { list: secretsAtHand } }, id, presented)
        if (used !== undefined) secretUse.note(used)
        return used !== undefined
      },
      findResource: cachedFor({ unit, live }, 'resources', resourceStore.find),
    },
    accounts,
    withdraw,
    signingKeys,
    throttle: createThrottle({
      db,
      hash: (value) => ring.handles('throttle', value)[0],
      raised: config.profile === 'test',
      refused: (what) => log.warn({ request: currentRequestId(), ...what }, 'throttled'),
    }),
    sessions: {
      sessions,
      grants,
      interactions: createInteractions({ unit, ring, now }),
      consents,
    },
    tokens: {
      codes: createCodes({ unit, ring, now }),
      families,
      accessTokens,
      pushedRequests: createPushedRequests({ unit, ring, now }),
      replays: createReplays({ unit }),
      revoke,
      endings,
    },
  }
}

interface LiveParts {
  readonly unit: UnitOfWork
  readonly live?: Live
}

function cachedFor<Value>({ unit, live }: LiveParts, topic: Topic, load: (key: string) => Promise<Value>) {
  return cached({ version: () => live?.version(topic), writing: unit.writing }, load)
}

/** @returns the acts of a register; after the commit of each, what this process keeps of the topic is old */
function telling<Acts extends object>({ unit, live }: LiveParts, topic: Topic, acts: Acts): Acts {
  if (!live) return acts
  const tell =
    (act: (...given: unknown[]) => Promise<unknown>) =>
    async (...given: unknown[]) => {
      const outcome = await act(...given)
      unit.onCommit(() => live.touch(topic))
      return outcome
    }
  return Object.fromEntries(Object.entries(acts).map(([name, act]) => [name, tell(act)])) as Acts
}

/** What the tour may do: make things whose names begin with `try-`, and remove them again. */
export function tourParts({ config, clients, accounts, now }: Rooms) {
  const actor = 'operator'
  return {
    issuer: config.issuer,
    gateway: `http://localhost:${config.gatewayPort}`,
    now,
    async addClient(fields: ClientFields): Promise<{ secret?: string }> {
      const added = await clients.add(fields, actor)
      if (!added.ok) throw new Error(`client ${fields.id} is there already`)
      return { secret: added.secret }
    },
    removeClient: (id: string) => clients.remove(id, actor),
    listClients: clients.list,
    async addUser({ password, ...person }: { email: string; name: string; password: string }): Promise<{ id: string }> {
      const account = await accounts.add(person, actor)
      if (!account) throw new Error(`${person.email} is there already`)
      const fault = await accounts.setPassword(account.id, password, actor)
      if (fault) throw new Error(`the password of ${person.email} is refused: ${fault}`)
      return { id: account.id }
    },
    async removeUser(email: string): Promise<void> {
      const account = await accounts.findByEmail(email)
      if (account) await accounts.remove(account.id, actor)
    },
    async listUsers(prefix: string): Promise<readonly { email: string }[]> {
      return (await accounts.list()).filter(({ email }) => email.startsWith(prefix))
    },
  }
}
