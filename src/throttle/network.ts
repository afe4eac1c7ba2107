// Which callers count as one: an address is cheap where the network hands out more of them than anybody can count.
import ipaddr from 'ipaddr.js'

/** Bits, which are what one customer has at least (RFC 6177). */
const PREFIX = 64

/**
 * @param address as the caller was read from the request
 * @param prefix bits that count of an IPv6 address
 * @returns an IPv4 address as it is, also where it is written as IPv6 (RFC 4291 section 2.5.5.2), and of an IPv6 address the
 *   prefix; however each was spelled
 */
export function networkOf(address: string, prefix = PREFIX): string {
  if (!ipaddr.isValid(address)) return 'unknown'
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return parsed.toString()
  const kept = parsed
    .toByteArray()
    .map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))))
  return `${Buffer.from(kept.slice(0, Math.ceil(prefix / 8))).toString('hex')}/${prefix}`
}
