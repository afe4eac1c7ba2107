// Opens the port, and closes it without cutting an answer short.
import type { RequestListener } from 'node:http'
import { createAnswering } from './answering.ts'
import { type BoundsParts, createBounds } from './bounds.ts'
import { openPort } from './open-port.ts'

export interface Listening {
  /** From now on every answer ends its connection; new ones are still taken. */
  shed(): void
  /** Takes no new connections, lets requests under way finish, and cuts what is left after `graceSeconds`. */
  close(graceSeconds?: number): Promise<void>
}

/**
 * @param limits of connections
 * @param hosts addresses; when there are several, those that this machine lacks are passed over
 * @throws OperatorFault when the port is taken, forbidden, or no address could be used
 */
export async function listen(
  handler: RequestListener,
  port: number,
  hosts: readonly string[],
  limits: BoundsParts,
): Promise<Listening> {
  const bounds = createBounds(limits)
  const servers = await openPort(() => createAnswering(handler, bounds), port, hosts)
  return {
    shed() {
      for (const server of servers) server.shed()
    },
    close: async (graceSeconds = 10) => {
      await Promise.all(servers.map((server) => server.close(graceSeconds * 1000)))
    },
  }
}
