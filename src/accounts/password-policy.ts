// Which passwords are accepted (SP 800-63B-4 section 3.1.1.2): long ones that are not easy to guess. No rules about kinds of
// characters, and no end date.
import { LONGEST_PASSWORD } from './password.ts'

/** The shortest password, in characters, where it is the only factor. */
export const SHORTEST_PASSWORD = 15

export interface PasswordContext {
  readonly email: string
  readonly name?: string
  /** asks a list of breached passwords; none is asked until an operator sets one up */
  readonly isBreached?: (password: string) => Promise<boolean>
}

/** @returns why the password is refused, as a sentence for its owner, or undefined when it is fine */
export async function passwordFault(password: string, context: PasswordContext): Promise<string | undefined> {
  const text = password.normalize('NFC')
  const length = [...text].length
  if (length < SHORTEST_PASSWORD) {
    return `Use at least ${SHORTEST_PASSWORD} characters. A few words in a row are easy to remember and hard to guess.`
  }
  if (text.length > LONGEST_PASSWORD) return `Use at most ${LONGEST_PASSWORD} characters.`
  if (isGuessable(text, context) || (await context.isBreached?.(text))) {
    return 'This password is easy to guess or has been seen in a leak. Choose another one.'
  }
  return undefined
}

/**
 * A long password is still weak when little of it is the owner's own: what remains after well-known words, this service's
 * and this person's words, runs of keys and repetitions are taken out must be long enough to matter.
 */
function isGuessable(password: string, { email, name }: PasswordContext): boolean {
  const text = plain(password)
  if (PHRASES.some((phrase) => text.replace(/[^a-z0-9]/g, '') === phrase.replace(/ /g, ''))) return true
  const own = [...email.split(/[@.+_-]/), ...(name ?? '').split(/\s+/)].map(plain).filter((word) => word.length >= 3)
  const left = [...WORDS, ...own]
    .sort((a, b) => b.length - a.length)
    .reduce((rest, word) => rest.replaceAll(word, ' '), text)
  return countFresh(left) < FRESH_CHARACTERS
}

const FRESH_CHARACTERS = 6

/** Characters that follow neither from the one before (abc, 321, aaa, qwe) nor from a repetition of what came earlier. */
function countFresh(text: string): number {
  let fresh = 0
  for (let at = 0; at < text.length; at++) {
    const [character, before] = [text[at]!, text[at - 1]]
    if (/\s/.test(character) || (before !== undefined && isStep(before, character))) continue
    if (at >= 2 && text.slice(0, at).includes(text.slice(at - 1, at + 1))) continue
    fresh += 1
  }
  return fresh
}

const ROWS = [
  '1234567890',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiop',
  'azertyuiop',
  'abcdefghijklmnopqrstuvwxyz',
]

function isStep(a: string, b: string): boolean {
  if (a === b) return true
  return ROWS.some((row) => row.includes(a) && row.includes(b) && Math.abs(row.indexOf(a) - row.indexOf(b)) === 1)
}

/** Lower case, with the usual stand-ins for letters undone: P@55w0rd is password. */
function plain(text: string): string {
  return text.toLowerCase().replace(/[@4013$57!|]/g, (character) => STAND_INS[character] ?? character)
}

const STAND_INS: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '0': 'o',
  '1': 'i',
  '3': 'e',
  $: 's',
  '5': 's',
  '7': 't',
  '!': 'i',
  '|': 'i',
}

// Phrases that every guesser tries because they are famous as examples or from songs, books and prayers.
const PHRASES = [
  'correct horse battery staple',
  'the quick brown fox',
  'the quick brown fox jumps over the lazy dog',
  'to be or not to be',
  'to be or not to be that is the question',
  'may the force be with you',
  'once upon a time',
  'in the beginning was the word',
  'our father who art in heaven',
  'never gonna give you up',
  'i love you so much',
  'let me in please',
  'this is my password',
  'thisisaverylongpassword',
  'averylongpassword',
].map(plain)

// Base words that weak passwords are made of, and this service's own name.
const WORDS = [
  'gatehouse',
  'password',
  'passwort',
  'passphrase',
  'secret',
  'geheim',
  'welcome',
  'willkommen',
  'letmein',
  'login',
  'signin',
  'admin',
  'administrator',
  'root',
  'user',
  'guest',
  'test',
  'demo',
  'default',
  'changeme',
  'change',
  'please',
  'hello',
  'iloveyou',
  'love',
  'monkey',
  'dragon',
  'master',
  'sunshine',
  'princess',
  'football',
  'baseball',
  'superman',
  'batman',
  'shadow',
  'michael',
  'trustno',
  'access',
  'whatever',
  'freedom',
  'starwars',
  'computer',
  'internet',
  'server',
  'oauth',
  'openid',
  'account',
  'security',
  'spring',
  'summer',
  'autumn',
  'winter',
  'january',
  'february',
  'march',
  'april',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
  'monday',
  'friday',
  'sunday',
  'very',
  'long',
  'strong',
  'secure',
  'the',
  'this',
  'and',
  'mine',
  'company',
].map(plain)
