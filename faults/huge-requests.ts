// Bodies that are huge, endless, packed, or odd, and the addresses that take a body.
import type { Socket } from 'node:net'
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'

export interface HugeRequest {
  readonly name: string
  /** header lines about the body */
  readonly head: readonly string[]
  /** what is sent at once */
  readonly body: Buffer
  /** what is sent for as long as it is taken; `most` bytes of it */
  readonly endless?: { readonly piece: Buffer; readonly most: number }
}

const FORM = 'Content-Type: application/x-www-form-urlencoded'
const PIECE = Buffer.alloc(64 * 1024, 'y')
const HUNDRED_MB = 100 * 1024 * 1024

/** A hundred megabytes of nothing, packed: made once, because it takes seconds. */
const BOMBS = pack(Buffer.alloc(HUNDRED_MB))

function pack(zeros: Buffer) {
  const gzip = gzipSync(zeros, { level: 9 })
  const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }
  return { gzip, deflate: deflateSync(zeros), brotli: brotliCompressSync(zeros, brotli), twice: gzipSync(gzip) }
}

/** @param good a form that the address would take. @returns what is to be refused by its size or kind */
export function hugeRequests(good: string): HugeRequest[] {
  const sized = (name: string, body: string | Buffer, ...head: string[]): HugeRequest => {
    const bytes = Buffer.from(body as string)
    return { name, head: [...(head.length > 0 ? head : [FORM]), `Content-Length: ${bytes.length}`], body: bytes }
  }
  const fields = (field: (index: number) => string) =>
    Array.from({ length: 10_000 }, (_, index) => field(index)).join('')
  const deep = 12_000
  return [
    {
      name: '100 MB',
      head: [FORM, `Content-Length: ${HUNDRED_MB}`],
      body: Buffer.from(`${good}&x=`),
      endless: { piece: PIECE, most: HUNDRED_MB },
    },
    {
      name: 'chunks without end',
      head: [FORM, 'Transfer-Encoding: chunked'],
      body: Buffer.alloc(0),
      endless: {
        piece: Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from('\r\n')]),
        most: Number.POSITIVE_INFINITY,
      },
    },
    {
      name: 'small chunks without end',
      head: [FORM, 'Transfer-Encoding: chunked'],
      body: Buffer.alloc(0),
      endless: { piece: Buffer.from('1\r\ny\r\n'.repeat(5000)), most: Number.POSITIVE_INFINITY },
    },
    sized('1 MB', `${good}&x=${'y'.repeat(1024 * 1024)}`),
    sized('57 kB', `${good}&x=${'y'.repeat(57 * 1024)}`),
    sized('10,000 fields', `${good}${fields((index) => `&${index.toString(36)}`)}`),
    sized('one field 10,000 times', `${good}${fields(() => '&a=')}`),
    sized('10,000 fields of a list', `${good}${fields(() => '&a[]')}`),
    sized('deep JSON', `${'['.repeat(deep)}${']'.repeat(deep)}`, 'Content-Type: application/json'),
    sized('deep JSON objects', `${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}`, 'Content-Type: application/json'),
    sized(
      'a JSON that is a good form',
      JSON.stringify(Object.fromEntries(new URLSearchParams(good))),
      'Content-Type: application/json',
    ),
    sized('a gzip bomb', BOMBS.gzip, FORM, 'Content-Encoding: gzip'),
    sized('a deflate bomb', BOMBS.deflate, FORM, 'Content-Encoding: deflate'),
    sized('a Brotli bomb', BOMBS.brotli, FORM, 'Content-Encoding: br'),
    sized('gzip in gzip', BOMBS.twice, FORM, 'Content-Encoding: gzip, gzip'),
    sized('a good form, packed', gzipSync(good), FORM, 'Content-Encoding: gzip'),
    sized('UTF-16', Buffer.from(good, 'utf16le'), `${FORM}; charset=utf-16le`),
    sized('UTF-7', good, `${FORM}; charset=utf-7`),
    sized('a charset that is none', good, `${FORM}; charset=nonsense`),
    sized(
      'a form in parts',
      `--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n${'y'.repeat(40_000)}\r\n--b--`,
      'Content-Type: multipart/form-data; boundary=b',
    ),
    sized('a form that says it is text', good, 'Content-Type: text/plain'),
  ]
}

/** Sends pieces for as long as the other side takes them. */
export function pour({ piece, most }: NonNullable<HugeRequest['endless']>) {
  let sent = 0
  return function push(socket: Socket): void {
    while (socket.writable && sent < most) {
      sent += piece.length
      if (!socket.write(piece)) return void socket.once('drain', () => push(socket))
    }
  }
}
