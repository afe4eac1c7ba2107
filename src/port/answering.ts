// Answers HTTP requests on connections, whoever takes these in.
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Bounds } from './bounds.ts'
import { type Connections, trackConnections } from './connections.ts'
import { takeTurns } from './turns.ts'

/** @returns a server that does not listen */
export function createAnswering(handler: RequestListener, bounds: Bounds): Connections & { readonly server: Server } {
  // A request without Host is refused by our own door: Node would begin what stands behind it.
  const server = createServer({ ...bounds.options, requireHostHeader: false })
  bounds.watch(server)
  takeTurns(server, handler)
  return { server, ...trackConnections({ clock: () => performance.now() }, server) }
}
