// Builds the rooms from Config, bottom first, handing each only what it needs. No HTTP here.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createAccounts } from './accounts/create.ts'
import { createAudit } from './audit/append.ts'
import { createClientRegister } from './clients/register.ts'
import { createClientSecretStore } from './clients/secret-store.ts'
import { createSecretUse } from './clients/secret-use.ts'
import { resealSecrets } from './clients/secrets.ts'
import { createClientStore } from './clients/store.ts'
import type { Config } from './config.ts'
import type { Live } from './db/live.ts'
import { createUnitOfWork, type Db } from './db/unit-of-work.ts'
import { createEndings } from './endings/end.ts'
import { createEndAll } from './endings/end-all.ts'
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
import { buildAtHand, telling } from './wire-at-hand.ts'
import { buildRing, buildSigningKeys, KEY_TIMES } from './wire-keys.ts'

/** Our own version, as package.json has it. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

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
  /** the time that everything stored goes by; this machine's unless told */
  readonly now?: () => Date
}

/**
 * @throws OperatorFault when GATEHOUSE_SECRET does not open the key ring of this database
 */
export async function buildRooms({ config, db, log, live, keyTimes = KEY_TIMES, now = () => new Date() }: RoomParts) {
  const unit = createUnitOfWork(db)
  const { ring, refreshRing, ringSecrets } = await buildRing({ config, db, unit, log, live, now })
  const audit = createAudit({ unit, now, requestId: currentRequestId })

  const endings = createEndings({ unit, now })
  const families = createFamilies({ unit, ring, now })
  const accessTokens = createAccessTokens({ unit, ring })
  const revoke = createRevoke({ unit, ring, accessTokens, families, end: endings.end })
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
    atHand: buildAtHand({
      ...{ unit, live, now, secrets, secretUse },
      findClient: clientStore.find,
      findResource: resourceStore.find,
    }),
    accounts,
    withdraw,
    endAll: createEndAll({ unit, now, endSignIns: sessions.endSignIns }),
    signingKeys,
    throttle: createThrottle({
      db,
      hashes: (value) => ring.handles('throttle', value),
      raised: config.profile === 'test',
      ipv6Prefix: config.ipv6Prefix,
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
