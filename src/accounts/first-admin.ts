// Making the first administrator by a link; when there is one, every such link is dead.
import { plainTextFault } from '../http/plain-text-fault.ts'
import { Problem } from '../http/problem.ts'
import { newAccountId } from './account-id.ts'
import { isEmail } from './email.ts'
import type { ActParts, FieldFaults, LinkUse } from './parts.ts'
import { passwordFault } from './password-policy.ts'

const LONGEST_NAME = 100

/** @returns whether a link can make the first administrator, and the act itself */
export function createFirstAdmin({ unit, audit, store, links, passwords, isBreached }: ActParts) {
  const isUsable = async (token: string) =>
    (await links.inspect('admin-setup', token)) !== undefined && !(await store.hasAdmin())

  return {
    inspectAdminLink: isUsable,

    /** One of many at once succeeds, whatever link each of them holds. */
    async useAdminLink(
      token: string,
      { password, ...form }: { email: string; name: string; password: string },
    ): Promise<LinkUse> {
      if (!(await isUsable(token))) return { outcome: 'expired' }
      const person = { email: form.email.trim(), name: form.name.trim() }
      const faults: FieldFaults = {
        ...fieldFaults(person),
        ...faultOf('password', await passwordFault(password, { ...person, isBreached })),
      }
      if (Object.keys(faults).length > 0) return { outcome: 'refused', faults }
      // Hashed before the unit of work opens: no lock is held while a core is busy.
      const passwordHash = await passwords.hash(password)

      return unit.run(async (): Promise<LinkUse> => {
        if (!(await links.takeTurn('admin-setup', token, store.hasAdmin))) return { outcome: 'expired' }
        if (await store.hasAdmin()) return { outcome: 'expired' }
        // Asked before the link is used, so that it is still good when the form comes again.
        if (await store.findByEmail(person.email)) {
          return { outcome: 'refused', faults: { email: 'Somebody with this address is here already.' } }
        }
        if (!(await links.use('admin-setup', token))) return { outcome: 'expired' }
        const made = await store.insert({
          ...person,
          id: newAccountId(),
          name: person.name || undefined,
          role: 'admin',
          passwordHash,
        })
        if (!made) {
          // Thrown, so that nothing of this is kept.
          throw new Problem(409, 'conflict', 'Somebody with this address was added at the same moment. Try again.')
        }
        await audit({ kind: 'account.admin-made', actor: made.id, subject: made.id, detail: { email: made.email } })
        return { outcome: 'done', account: made }
      })
    },
  }
}

function fieldFaults({ email, name }: { email: string; name: string }): FieldFaults {
  const wrongName = name === '' ? undefined : plainTextFault(name, LONGEST_NAME)
  return {
    ...(!isEmail(email) && { email: 'Enter an email address, such as ada@example.com.' }),
    ...faultOf('name', wrongName && `The name ${wrongName}.`),
  }
}

function faultOf(field: keyof FieldFaults, text: string | undefined): FieldFaults {
  return text ? { [field]: text } : {}
}
