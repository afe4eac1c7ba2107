// Which connections a server holds, as Linux sees it: a client that does not read cannot tell whether it was cut.
import { readFileSync } from 'node:fs'

export interface HeldSockets {
  /** how many from an address are held now */
  count(from: string): number
  /** @returns milliseconds that the longest one from an address was held, also of those that are */
  longest(from: string): number
  /** how many there were in all */
  total(from: string): number
  stop(): void
}

/** Looks every half second. @param port of the server, on IPv4 loopback */
export function watchSockets(port: number): HeldSockets {
  /** by inode: ports are used again */
  const held = new Map<string, { from: string; since: number }>()
  const longest = new Map<string, number>()
  const total = new Map<string, number>()
  const look = () => {
    const now = performance.now()
    const there = new Set<string>()
    for (const { from, inode } of socketsAt(port)) {
      there.add(inode)
      if (!held.has(inode)) {
        held.set(inode, { from, since: now })
        total.set(from, (total.get(from) ?? 0) + 1)
      }
      longest.set(from, Math.max(longest.get(from) ?? 0, now - held.get(inode)!.since))
    }
    for (const inode of held.keys()) if (!there.has(inode)) held.delete(inode)
  }
  const timer = setInterval(look, 500)
  return {
    count: (from) => socketsAt(port).filter((socket) => socket.from === from).length,
    longest: (from) => Math.round(longest.get(from) ?? 0),
    total: (from) => total.get(from) ?? 0,
    stop: () => clearInterval(timer),
  }
}

/** Rows of /proc/net/tcp (proc(5)); what no process holds any more has no inode. */
function socketsAt(port: number): { from: string; inode: string }[] {
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local, peer, , , , , , , inode]) =>
        Number.parseInt(local?.split(':')[1] ?? '', 16) === port && inode !== '0' && !peer!.endsWith(':0000'),
    )
    .map(([, , peer, , , , , , , inode]) => ({ from: addressOf(peer!.split(':')[0]!), inode: inode! }))
}

/** @param hex four bytes, the last one first */
function addressOf(hex: string): string {
  return [...Buffer.from(hex, 'hex')].reverse().join('.')
}
