// Which version of the key ring a value of ours belongs to, written into the value itself: so that the one right pepper is
// known before anything is looked up. What belongs to the first version, and whatever is not ours, has no mark.

/** Versions are written with two digits of 62 in opaque values. */
export const MOST_RING_VERSIONS = 62 * 62 - 1

/** What opaque values are written in, the lowest digit first. */
export const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
// A dot is in none of the alphabets that ids are made of.
const MARKED_ID = /^([1-9]\d{0,3})\.[\w-]{22,}$/
// In opaque values the mark is of letters and digits, too. No body of 32 or 48 bytes begins with a z by itself: the numbers
// that 43 and 65 digits can write go further than their bytes do.
const MARKED_OPAQUE = /^gth_[a-z]{2}_z([0-9A-Za-z]{2})/

/** @returns the id of base64url characters, with the mark of a version */
export function markId(version: number, id: string): string {
  return version === 1 ? id : `${version}.${id}`
}

/** @returns what the body of an opaque value of this version begins with */
export function opaqueMark(version: number): string {
  if (version === 1) return ''
  return `z${BASE62[Math.floor(version / 62)]}${BASE62[version % 62]}`
}

/** @returns the version that a value belongs to */
export function ringVersionOf(value: string): number {
  const opaque = MARKED_OPAQUE.exec(value)?.[1]
  if (opaque !== undefined) return BASE62.indexOf(opaque[0]!) * 62 + BASE62.indexOf(opaque[1]!)
  return Number(MARKED_ID.exec(value)?.[1] ?? 1)
}
