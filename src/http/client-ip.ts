// Who is really calling, when proxies are between. Forwarded headers count only when they come from a listed proxy, and are
// read from the right: what stands further left was written by somebody we do not trust.
import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'
import { trustedProxies } from './trusted-proxies.ts'

export interface Caller {
  /** the address of the caller; IPv4-mapped IPv6 addresses are written as IPv4 */
  readonly address: string
  /** the scheme that the caller used */
  readonly protocol: 'http' | 'https'
  /** the host that the caller asked for, lower case, with its port */
  readonly host: string
}

/**
 * @param trusted addresses and networks (CIDR) of proxies
 * @returns a function that reads the caller from a request
 */
export function createCallerReader(trusted: readonly string[]): (request: IncomingMessage) => Caller {
  const isTrusted = trustedProxies(trusted)
  return (request) => {
    const peer = plain(request.socket.remoteAddress ?? '')
    const direct = request.headers.host?.toLowerCase() ?? ''
    if (!isTrusted(peer)) return { address: peer, protocol: 'http', host: direct }
    const hops = list(request.headers['x-forwarded-for']).map(plain)
    let address = peer
    while (hops.length > 0 && isTrusted(address)) address = hops.pop()!
    const protocol = list(request.headers['x-forwarded-proto']).at(-1)
    return {
      address: ipaddr.isValid(address) ? address : peer,
      protocol: protocol === 'https' ? 'https' : 'http',
      host: list(request.headers['x-forwarded-host']).at(-1)?.toLowerCase() ?? direct,
    }
  }
}

function plain(text: string): string {
  // Some proxies add the port: `[2001:db8::1]:4711`, `203.0.113.9:4711`.
  const bare = text.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : bare
}

function list(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .map((part) => part.trim())
    .filter(Boolean)
}
