// Opens the port, and closes it without cutting an answer short.
import { createServer, type RequestListener } from 'node:http'
import { OperatorFault } from '../vocabulary/fault.ts'
import { type Bounds, type BoundsParts, createBounds } from './bounds.ts'
import { type Connections, trackConnections } from './connections.ts'
import { takeTurns } from './turns.ts'

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
  const servers: Connections[] = []
  const bounds = createBounds(limits)
  const open = (port: number, host: string) => openOne(handler, bounds, port, host)
  for (const host of hosts) {
    try {
      servers.push(await open(port, host))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRNOTAVAIL' && hosts.length > 1) continue
      if (code === 'EAFNOSUPPORT' && (hosts.length > 1 || host === '::')) {
        if (host === '::') servers.push(await open(port, '0.0.0.0'))
        continue
      }
      await Promise.all(servers.map((server) => server.close(0)))
      throw portFault(error as NodeJS.ErrnoException, port, host)
    }
  }
  if (servers.length === 0)
    throw new OperatorFault(`No address to listen on: ${hosts.join(', ')}.`, 'Set HOST to an address of this machine.')
  return {
    shed() {
      for (const server of servers) server.shed()
    },
    close: async (graceSeconds = 10) => {
      await Promise.all(servers.map((server) => server.close(graceSeconds * 1000)))
    },
  }
}

function openOne(handler: RequestListener, bounds: Bounds, port: number, host: string): Promise<Connections> {
  const server = createServer(bounds.options)
  bounds.watch(server)
  takeTurns(server, handler)
  const connections = trackConnections({ clock: () => performance.now() }, server)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve(connections)
    })
  })
}

function portFault(error: NodeJS.ErrnoException, port: number, host: string): OperatorFault {
  if (error.code === 'EADDRINUSE') {
    return new OperatorFault(
      `Port ${port} on ${host} is in use.`,
      'Stop the program that uses it, or set PORT to another port.',
      { cause: error },
    )
  }
  if (error.code === 'EACCES') {
    return new OperatorFault(
      `Port ${port} may not be opened by this user.`,
      'Set PORT to 1024 or above, or let a proxy take the low port.',
      { cause: error },
    )
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new OperatorFault(
      `${host} is not an address of this machine.`,
      'Set HOST to one that is, or leave it out.',
      { cause: error },
    )
  }
  return new OperatorFault(`Cannot listen on ${host}, port ${port}: ${error.message}.`, 'Check HOST and PORT.', {
    cause: error,
  })
}
