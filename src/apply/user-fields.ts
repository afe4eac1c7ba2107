// The document of one user.
import { z } from 'zod'
import { plainTextFault } from '../http/plain-text-fault.ts'
import { type Reading, readFields } from '../vocabulary/document.ts'

const LONGEST_NAME = 100

export interface UserFields {
  readonly email: string
  readonly name?: string
}

const text = z.string('must be text')
const shape = {
  email: text,
  name: text
    .superRefine((name, context) => {
      const message = plainTextFault(name, LONGEST_NAME)
      if (message) context.addIssue({ code: 'custom', message })
    })
    .optional(),
}

/** Reads the document of one user. @returns the user, or all faults */
export function readUserFields(
  { isEmail }: { isEmail: (text: string) => boolean },
  document: unknown,
): Reading<UserFields> {
  const { parts, faults } = readFields(shape, document, 'a user')
  if (parts.email !== undefined && !isEmail(parts.email)) {
    faults.push({ path: ['email'], text: 'must be an email address like ada@example.com' })
  }
  return faults.length > 0 ? { ok: false, faults, parts } : { ok: true, value: parts as UserFields }
}
