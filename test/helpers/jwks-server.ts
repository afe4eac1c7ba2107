// An issuer's discovery and JWKS over real HTTP on loopback, with switches for what can go wrong, and a count of requests.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JWK } from 'jose'

export interface JwksServer {
  readonly issuer: string
  /** paths asked for, in order */
  readonly asked: string[]
  /** what `/jwks` serves */
  keys: JWK[]
  cacheControl: string | undefined
  /** replaces the answer to `/jwks` */
  broken: ((response: ServerResponse) => void) | undefined
  /** replaces the discovery document */
  discovery: Record<string, unknown> | undefined
  close(): Promise<void>
}

export async function jwksServer(): Promise<JwksServer> {
  const server = createServer((request, response) => {
    self.asked.push(request.url ?? '')
    const send = (body: object) => response.end(JSON.stringify(body))
    if (request.url === '/.well-known/openid-configuration') {
      return send(self.discovery ?? { issuer: self.issuer, jwks_uri: `${self.issuer}/jwks` })
    }
    if (self.broken) return self.broken(response)
    if (self.cacheControl) response.setHeader('cache-control', self.cacheControl)
    send({ keys: self.keys })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const self: JwksServer = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    keys: [],
    cacheControl: undefined,
    broken: undefined,
    discovery: undefined,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return self
}
