// Which peers are proxies of the operator's own.
import ipaddr from 'ipaddr.js'

/**
 * @param trusted addresses and networks (CIDR)
 * @returns whether an address is one of them, or in one; IPv4-mapped IPv6 addresses are taken as IPv4
 */
export function trustedProxies(trusted: readonly string[]): (address: string) => boolean {
  const networks = trusted.map((text) => (text.includes('/') ? ipaddr.parseCIDR(text) : wholeAddress(text)))
  return (address) => {
    if (networks.length === 0 || !ipaddr.isValid(address)) return false
    const parsed = ipaddr.process(address)
    return networks.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits))
  }
}

function wholeAddress(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const address = ipaddr.process(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}
