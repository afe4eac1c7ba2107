// Which callers count as one: an address is cheap where the network hands out more of them than anybody can count.
import ipaddr from 'ipaddr.js'

/**
 * @param address as the caller was read from the request
 * @returns an IPv4 address as it is, also where it is written as IPv6 (RFC 4291 section 2.5.5.2), and of an IPv6 address the first
 *   64 bits, which are what one customer has at least (RFC 6177); however each was spelled
 */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unknown'
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return parsed.toString()
  return `${Buffer.from(parsed.toByteArray().slice(0, 8)).toString('hex')}/64`
}
