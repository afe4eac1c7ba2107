// Opens a port on each of several addresses.
import type { Server } from 'node:net'
import { OperatorFault } from '../vocabulary/fault.ts'

/** What a port is opened for. */
export interface Listener {
  /** does not listen yet */
  readonly server: Server
  /** Takes no new connections, and ends within `grace` milliseconds. */
  close(grace: number): Promise<void>
}

/**
 * @param make called once for each address
 * @param hosts addresses; when there are several, those that this machine lacks are passed over
 * @returns those that listen
 * @throws OperatorFault when the port is taken, forbidden, or no address could be used
 */
export async function openPort<T extends Listener>(
  make: () => T,
  port: number,
  hosts: readonly string[],
): Promise<readonly T[]> {
  const open: T[] = []
  for (const host of hosts) {
    try {
      open.push(await start(make(), port, host))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRNOTAVAIL' && hosts.length > 1) continue
      if (code === 'EAFNOSUPPORT' && (hosts.length > 1 || host === '::')) {
        if (host === '::') open.push(await start(make(), port, '0.0.0.0'))
        continue
      }
      await Promise.all(open.map((listener) => listener.close(0)))
      throw portFault(error as NodeJS.ErrnoException, port, host)
    }
  }
  if (open.length === 0)
    throw new OperatorFault(`No address to listen on: ${hosts.join(', ')}.`, 'Set HOST to an address of this machine.')
  return open
}

function start<T extends Listener>(listener: T, port: number, host: string): Promise<T> {
  const { server } = listener
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve(listener)
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
