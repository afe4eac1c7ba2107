// Hands the tour and the demo gateway what they need of the rooms, for `start` and `try`.
import type { Logger } from 'pino'
import { createHandler } from './authorizer/handler.ts'
import type { ClientFields } from './clients/client.ts'
import type { Config } from './config.ts'
import type { RouteMap } from './vocabulary/route-map.ts'
import type { Rooms } from './wire.ts'

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
