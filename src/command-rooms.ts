// The rooms as the commands know them: made of ours, without a server.
import { emailKey, isEmail } from './accounts/email.ts'
import { createApply } from './apply/execute.ts'
import { readUserFields } from './apply/user-fields.ts'
import type { Rooms as CommandRooms, OneTimeLink } from './cli/rooms.ts'
import { secretForm } from './clients/client.ts'
import { readClientFields, writeClientFields } from './clients/fields.ts'
import { createRevokeToken } from './provider/revoke-token.ts'
import { readResourceFields, writeResourceFields } from './resources/fields.ts'
import { engineParts } from './server/build.ts'
import { nextStep } from './signing-keys/next-step.ts'
import type { Rooms } from './wire.ts'

/** @returns what commands may do */
export function commandRooms(rooms: Rooms): CommandRooms {
  const { config, accounts, clients, resources, unit } = rooms
  const link = async (path: string, made: Promise<{ token: string; expiresAt: Date }>): Promise<OneTimeLink> => {
    const { token, expiresAt } = await made
    return { url: `${config.issuer}${path}?token=${token}`, expiresAt }
  }
  const makeSetPasswordLink = (id: string, actor: string) =>
    link('/set-password', accounts.makeSetPasswordLink(id, actor))
  return {
    now: rooms.now,
    clients,
    resources,
    accounts: {
      ...accounts,
      makeSetPasswordLink,
      makeAdminLink: (actor) => link('/admin/setup', accounts.makeAdminLink(actor)),
    },
    signingKeys: commandKeys(rooms.signingKeys),
    trust: {
      ...rooms.withdraw,
      all: rooms.endAll,
      token: createRevokeToken({ ...engineParts(rooms), unit }),
      sessionsOf: rooms.sessions.sessions.listOf,
      grantsOf: rooms.sessions.grants.listOf,
    },
    apply: createApply({
      unit,
      resources,
      clients,
      users: { ...accounts, makeSetPasswordLink },
      readResource: readResourceFields,
      readClient: readClientFields,
      readUser: (document) => readUserFields({ isEmail }, document),
      writeResource: writeResourceFields,
      writeClient: writeClientFields,
      secretForm,
      emailKey,
    }),
  }
}

function commandKeys({ records, rotation, times }: Rooms['signingKeys']): CommandRooms['signingKeys'] {
  return {
    async list() {
      const keys = await records()
      return keys.map((key) => ({ ...key, next: nextStep(key, keys, times) }))
    },
    rotate: rotation.rotate,
    retire: rotation.retire,
  }
}
