// Email addresses as names of accounts: what is accepted, and which two spellings are the same.

/** RFC 5321 allows 254 characters on the wire; nothing longer can receive mail. */
const LONGEST = 254
const SHAPE = /^[^\s@"(),:;<>[\\\]\p{Cc}\p{Cf}]{1,64}@[^\s@"(),:;<>[\\\]\p{Cc}\p{Cf}]+$/u

/** @returns whether this is exactly one address */
export function isEmail(text: string): boolean {
  return text.length <= LONGEST && SHAPE.test(text)
}

/**
 * The key under which an account is found: Unicode NFC, lower case. Dots and plus signs stay: what they mean is the mail
 * server's to say.
 */
export function emailKey(email: string): string {
  return email.trim().normalize('NFC').toLowerCase()
}
