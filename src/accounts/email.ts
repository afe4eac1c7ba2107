// Email addresses as names of accounts: what is accepted, and which two spellings are the same.
import { domainToASCII } from 'node:url'

/** RFC 5321 allows 254 characters on the wire; nothing longer can receive mail. */
const LONGEST = 254
// One address, bare: no lists, quotes, comments, brackets, or characters that nobody sees. What would end a domain inside a
// web address stands in no domain.
const SHAPE = /^[^\s@"(),:;<>[\\\]\p{Cc}\p{Cf}\p{Cs}]{1,64}@[^\s@"(),:;<>[\\\]/?#%\p{Cc}\p{Cf}\p{Cs}]+$/u
const DOMAIN = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/
const IP_ADDRESS = /^\d+(\.\d+){3}$/

/** @returns whether this is exactly one address */
export function isEmail(text: string): boolean {
  if (text.length > LONGEST || !SHAPE.test(text)) return false
  const domain = domainToASCII(text.slice(text.indexOf('@') + 1))
  return DOMAIN.test(domain) && !IP_ADDRESS.test(domain)
}

/**
 * The key under which an account is found: Unicode NFC, lower case, the domain in its ASCII form (RFC 5890), because browsers
 * send that from a field for email whatever was typed. Dots and plus signs stay: what they mean is the mail server's to say.
 */
export function emailKey(email: string): string {
  const text = email.trim().normalize('NFC').toLowerCase()
  const at = text.lastIndexOf('@') + 1
  return text.slice(0, at) + (domainToASCII(text.slice(at)) || text.slice(at))
}
