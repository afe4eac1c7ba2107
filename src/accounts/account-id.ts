// The subject of a person's tokens.
import { randomBytes } from 'node:crypto'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const LENGTH = 22

/** @returns `usr_` and 22 base62 characters, 131 bits, drawn without bias */
export function newAccountId(): string {
  let id = ''
  while (id.length < LENGTH) {
    // The four highest values of a byte would make the first eight characters likelier.
    for (const byte of randomBytes(32)) if (byte < 248 && id.length < LENGTH) id += ALPHABET[byte % 62]
  }
  return `usr_${id}`
}
