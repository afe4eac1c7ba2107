// The shape of every opaque value we hand out: a kind prefix, a base62 body, and a checksum, so that junk costs no query
// and a secret scanner recognises a leak.
import { crc32 } from 'node:zlib'
import { BASE62, opaqueMark } from './ring-mark.ts'

/** `at` access token, `rt` refresh token, `ac` authorization code. */
export type OpaqueKind = 'at' | 'rt' | 'ac'

const CHECKSUM_LENGTH = 6
const SHAPE = /^gth_(at|rt|ac)_(?:z[0-9A-Za-z]{2})?([0-9A-Za-z]+)$/
// Longer than any value we make; what is longer is junk, whatever it ends in.
const MAX_LENGTH = 128

/** @returns a pattern that finds our opaque values in any text, for secret scanners and log checks */
export const OPAQUE_PATTERN = /gth_(?:at|rt|ac)_[0-9A-Za-z]{27,}/

/**
 * Writes bytes as an opaque value.
 * @param body at least 16 bytes
 * @param ringVersion the version of the key ring that it belongs to
 */
export function formatOpaque(kind: OpaqueKind, body: Uint8Array, ringVersion = 1): string {
  const text = `gth_${kind}_${opaqueMark(ringVersion)}${encodeBase62(body)}`
  return text + checksum(text)
}

/** @returns kind and body bytes, or undefined for anything that we cannot have written */
export function parseOpaque(text: string): { kind: OpaqueKind; body: Buffer } | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const match = SHAPE.exec(text)
  if (!match) return undefined
  const unsigned = text.slice(0, -CHECKSUM_LENGTH)
  if (checksum(unsigned) !== text.slice(-CHECKSUM_LENGTH)) return undefined
  const body = decodeBase62((match[2] as string).slice(0, -CHECKSUM_LENGTH))
  return body && body.length >= 16 ? { kind: match[1] as OpaqueKind, body } : undefined
}

function checksum(text: string): string {
  return digits(BigInt(crc32(text)), CHECKSUM_LENGTH)
}

function encodeBase62(bytes: Uint8Array): string {
  return digits(BigInt(`0x${Buffer.from(bytes).toString('hex')}`), digitsFor(bytes.length))
}

function decodeBase62(text: string): Buffer | undefined {
  const length = Math.floor((text.length * Math.log2(BASE62.length)) / 8)
  let value = 0n
  for (const digit of text) value = value * 62n + BigInt(BASE62.indexOf(digit))
  const hex = value.toString(16).padStart(length * 2, '0')
  return hex.length === length * 2 ? Buffer.from(hex, 'hex') : undefined
}

function digitsFor(byteLength: number): number {
  return Math.ceil((byteLength * 8) / Math.log2(BASE62.length))
}

function digits(value: bigint, width: number): string {
  let text = ''
  for (let rest = value; rest > 0n; rest /= 62n) text = BASE62[Number(rest % 62n)] + text
  return text.padStart(width, '0')
}
