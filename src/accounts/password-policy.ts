// Which passwords are accepted (SP 800-63B-4 section 3.1.1.2): long ones that are not easy to guess. No rules about kinds of
// characters, and no end date.
import { COMMON_PHRASES, COMMON_WORDS, KEY_ROWS } from './common-passwords.ts'
import { LONGEST_PASSWORD } from './password.ts'

/** The shortest password, in characters, where it is the only factor. */
const SHORTEST_PASSWORD = 15

/** Asks a list of breached passwords. */
export type IsBreached = (password: string) => Promise<boolean>

export interface PasswordContext {
  /** whose password it is: address and name must not make up most of it */
  readonly email: string
  readonly name?: string
  /** none is asked until an operator sets one up */
  readonly isBreached?: IsBreached
}

/** @returns why the password is refused, as sentences for its owner, or undefined when it is fine */
export async function passwordFault(password: string, context: PasswordContext): Promise<string | undefined> {
  const text = password.normalize('NFC')
  if ([...text].length < SHORTEST_PASSWORD) {
    return `Use at least ${SHORTEST_PASSWORD} characters. A few words in a row are easy to remember and hard to guess.`
  }
  if (text.length > LONGEST_PASSWORD) return `Use at most ${LONGEST_PASSWORD} characters.`
  if (isGuessable(text, context)) {
    return 'This is easy to guess: it is mostly well-known words, your name or address, rows of keys, or repetition. Add words that only you would put together.'
  }
  if (await context.isBreached?.(text)) {
    return 'This password has been seen in a leak of another service. Choose another one.'
  }
  return undefined
}

/** What a password must have of its own, in different characters. */
const OWN_CHARACTERS = 5

/**
 * No word is forbidden. But where a password is a famous sentence, a short one repeated, or where next to nothing is left of
 * it without the words that everybody tries, its owner's name and address, years, and keys in a row, its length is a mask.
 */
function isGuessable(password: string, { email, name }: PasswordContext): boolean {
  const text = password.normalize('NFKC').toLowerCase()
  const spellings = [text, withoutStandIns(text, 'i'), withoutStandIns(text, 'l')]
  const words = [...COMMON_WORDS, ...wordsOf(email), ...wordsOf(name ?? '')]
  const known = new Set([
    ...spellings.flatMap((spelling) => words.flatMap((word) => placesOf(word, spelling))),
    ...keysInARow(text),
    ...[...text.matchAll(/(?:19|20)\d\d/g)].flatMap(({ index }) => span(index, 4)),
  ])
  const own = text.split('').filter((character, at) => !known.has(at) && !SEPARATORS.test(character))
  return new Set(own).size < OWN_CHARACTERS || isRepeated(text) || spellings.some(isFamous)
}

const SEPARATORS = /[\s._-]+/

function isFamous(text: string): boolean {
  const letters = text.replace(/[^a-z]/g, '')
  return COMMON_PHRASES.some((phrase) => phrase.replaceAll(' ', '') === letters)
}

/** True for one short text over and over: as easy to guess as the text alone. */
function isRepeated(text: string): boolean {
  const once = /^(.+?)\1+$/su.exec(text.replace(/[\s._-]/g, ''))?.[1]
  return once !== undefined && [...once].length < SHORTEST_PASSWORD
}

/** The words of a name or an address that are long enough to mean something. */
function wordsOf(text: string): string[] {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .split(/[^\p{L}\p{N}\p{M}]+/u)
    .filter((word) => word.length >= 3)
}

function placesOf(word: string, text: string): number[] {
  const places: number[] = []
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) places.push(...span(at, word.length))
  return places
}

/** Three or more of the same character, or along a row of keys in one direction. */
function keysInARow(text: string): number[] {
  const places = [...text.matchAll(/(.)\1{2,}/gsu)].flatMap(({ index, 0: run }) => span(index, run.length))
  for (let at = 0; at + 3 <= text.length; at++) {
    const three = text.slice(at, at + 3)
    if (ROWS_BOTH_WAYS.some((row) => row.includes(three))) places.push(...span(at, 3))
  }
  return places
}

const ROWS_BOTH_WAYS = KEY_ROWS.flatMap((row) => [row, [...row].reverse().join('')]).flatMap((row) => [
  row,
  row.replace(/./g, '$&$&'),
])

function span(start: number, length: number): number[] {
  return Array.from({ length }, (_, index) => start + index)
}

/** P@55w0rd is password. One character stands for one, so that places stay the same. @param one what 1 stands for */
function withoutStandIns(text: string, one: 'i' | 'l'): string {
  return text.replace(/[@403$57!|1]/g, (character) => (character === '1' ? one : STAND_INS[character]!))
}

const STAND_INS: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '0': 'o',
  '3': 'e',
  $: 's',
  '5': 's',
  '7': 't',
  '!': 'i',
  '|': 'i',
}
