// What `status` tells.
import type { StatusReport } from './cli/status.ts'
import type { Config } from './config.ts'
import type { OpenDatabase } from './open-database.ts'
import type { RingKeys } from './secrets/ring-keys.ts'
import { type Rooms, VERSION } from './wire.ts'

/** Looks at an installation; whether a server runs is asked over the network, for two seconds. */
export async function describeStatus(
  { place, embedded }: OpenDatabase,
  rooms: Rooms,
  config: Config,
): Promise<StatusReport> {
  const running = await fetch(`${config.issuer}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
    (answer) => answer.ok,
    () => false,
  )
  return {
    version: VERSION,
    issuer: config.issuer,
    running,
    database: embedded ? `embedded PostgreSQL in ${place}` : place,
    data_folder: embedded ? config.dataDir : undefined,
    clients: (await rooms.clients.list()).length,
    resources: (await rooms.resources.list()).length,
    users: (await rooms.accounts.list()).length,
    key_ring: describeRing(rooms.ring.keys),
    signing_keys: rooms.signingKeys
      .held()
      .filter(({ state }) => state === 'active')
      .map(({ alg, kid }) => `${alg} ${kid}`),
    administrator: await rooms.accounts.hasAdmin(),
  }
}

/** Which version of the keys makes new values, and which are kept. */
function describeRing({ current, versions }: RingKeys): string {
  const others = (is: (id: number) => boolean) =>
    versions
      .map(({ id }) => id)
      .filter(is)
      .join(', ')
  const [older, ready] = [others((id) => id < current), others((id) => id > current)]
  return [`version ${current}`, older && `older ones kept: ${older}`, ready && `not in use yet: ${ready}`]
    .filter(Boolean)
    .join('; ')
}
