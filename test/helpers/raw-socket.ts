// Bytes that no client library would send, and what comes back.
import { connect, type Socket } from 'node:net'

export interface Heard {
  /** everything that came */
  readonly text: string
  /** status codes of the answers in it, in order, without 1xx */
  readonly statuses: readonly number[]
  /** `closed`: the other side ended it; `reset`: it broke it off; `open`: it did neither within the time */
  readonly end: 'closed' | 'reset' | 'open'
  /** milliseconds until the first byte, or until the end */
  readonly first: number
  /** milliseconds until the end */
  readonly lasted: number
}

/**
 * Sends bytes and listens until the other side hangs up.
 * @param options `within` milliseconds, then we hang up; `from` the address to come from; `write` goes on when the first bytes are sent
 */
export function speak(
  port: number,
  bytes: string | Buffer,
  {
    within = 5000,
    from = '127.0.0.1',
    write,
  }: { within?: number; from?: string; write?: (socket: Socket) => void } = {},
): Promise<Heard> {
  return new Promise((resolve) => {
    const begun = performance.now()
    const chunks: Buffer[] = []
    let first: number | undefined
    let end: Heard['end'] = 'closed'
    const socket = connect({ port, host: '127.0.0.1', localAddress: from }, () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
      write?.(socket)
    })
    const late = setTimeout(() => {
      end = 'open'
      socket.destroy()
    }, within)
    socket.on('data', (data) => {
      first ??= performance.now() - begun
      chunks.push(data)
    })
    socket.on('error', () => {
      end = 'reset'
    })
    socket.on('close', () => {
      clearTimeout(late)
      const lasted = performance.now() - begun
      const text = Buffer.concat(chunks).toString('latin1')
      resolve({ text, statuses: statusesIn(text), end, first: first ?? lasted, lasted })
    })
  })
}

/** @returns the final status codes of the answers in a stream of them */
function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map((match) => Number(match[1]))
}
