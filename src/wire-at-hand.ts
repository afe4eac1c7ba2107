// What a process keeps in memory for the hot path, for `wire.ts`: look-ups of clients, secrets and resources, a second old at most.

import type { SecretUse } from './clients/secret-use.ts'
import { listSealedSecrets, openSecret, type SecretParts, verifySecret } from './clients/secrets.ts'
import type { ClientStore } from './clients/store.ts'
import { cached } from './db/cached.ts'
import type { Live, Topic } from './db/live.ts'
import type { UnitOfWork } from './db/unit-of-work.ts'
import type { ResourceStore } from './resources/store.ts'

interface CacheSource {
  readonly unit: UnitOfWork
  /** a server's; a command keeps nothing in memory */
  readonly live?: Live
}

export interface AtHandParts extends CacheSource {
  readonly now: () => Date
  readonly secrets: SecretParts
  readonly secretUse: SecretUse
  readonly findClient: ClientStore['find']
  readonly findResource: ResourceStore['find']
}

/** @returns the look-ups of the engine, from memory where it can be */
export function buildAtHand({ unit, live, now, secrets, secretUse, findClient, findResource }: AtHandParts) {
  const listSecrets = cachedFor({ unit, live }, 'clients', secrets.store.list)
  return {
    findClient: cachedFor({ unit, live }, 'clients', findClient),
    sealedSecrets: {
      list: (id: string) => listSealedSecrets({ store: { list: listSecrets }, now }, id),
      open: (id: string, sealed: Buffer) => openSecret(secrets, id, sealed),
      noteUse: secretUse.note,
    },
    async verifySecret(id: string, presented: string): Promise<boolean> {
      const used = await verifySecret({ ...secrets, store: { list: listSecrets } }, id, presented)
      if (used !== undefined) secretUse.note(used)
      return used !== undefined
    },
    findResource: cachedFor({ unit, live }, 'resources', findResource),
  }
}

function cachedFor<Value>({ unit, live }: CacheSource, topic: Topic, load: (key: string) => Promise<Value>) {
  return cached({ version: () => live?.version(topic), writing: unit.writing }, load)
}

/** @returns the acts of a register; after the commit of each, what this process keeps of the topic is old */
export function telling<Acts extends object>({ unit, live }: CacheSource, topic: Topic, acts: Acts): Acts {
  if (!live) return acts
  const tell =
    (act: (...given: unknown[]) => Promise<unknown>) =>
    async (...given: unknown[]) => {
      const outcome = await act(...given)
      unit.onCommit(() => live.touch(topic))
      return outcome
    }
  return Object.fromEntries(Object.entries(acts).map(([name, act]) => [name, tell(act)])) as Acts
}
