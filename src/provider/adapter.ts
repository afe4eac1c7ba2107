// Between the engine's models and our stores. The engine's rules of single use are check-then-act; here they are made exact.
import type { Adapter, AdapterPayload } from 'oidc-provider'
import { type Client, isClientId, secretForm } from '../clients/client.ts'
import { adaptPeople } from './adapt-people.ts'
import { adaptPushed } from './adapt-pushed.ts'
import { adaptTokens } from './adapt-tokens.ts'
import { routeAtHand } from './at-hand.ts'
import { clientMetadata } from './client-metadata.ts'
import { createEngineTime, type EngineTime } from './engine-time.ts'
import type { ProviderParts } from './parts.ts'

/**
 * @returns the factory that the engine calls once per model
 */
export function createAdapterFactory(parts: ProviderParts): (model: string) => Adapter {
  const make: Record<string, () => Partial<Adapter>> = {
    Client: () => clients(parts),
    PushedAuthorizationRequest: () => adaptPushed(parts),
    ...adaptPeople(parts),
    ...adaptTokens(parts),
  }
  const time = createEngineTime(parts)
  return (model) => inStoredTime(time, { ...refuseAll(model), ...make[model]?.() } as Adapter)
}

function inStoredTime({ toStore, toEngine }: EngineTime, adapter: Adapter): Adapter {
  const given = async (found: ReturnType<Adapter['find']>) => {
    const payload = await found
    return payload && toEngine(payload)
  }
  return {
    ...adapter,
    upsert: (id, payload, expiresIn) => adapter.upsert(id, toStore(payload), expiresIn),
    find: (id) => given(adapter.find(id)),
    findByUid: (uid) => given(adapter.findByUid(uid)),
  }
}

const AUTHENTICATING = new Set(['token', 'introspection', 'revocation', 'pushed_authorization_request'])

/** Models of features that are switched off: reading finds nothing, writing is a fault of ours. */
function refuseAll(model: string): Adapter {
  const refuse = async () => {
    throw new Error(`no storage for ${model}`)
  }
  const nothing = async () => undefined
  return {
    upsert: refuse,
    find: nothing,
    findByUid: nothing,
    findByUserCode: nothing,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: nothing,
  }
}

function clients({ findClient, verifySecret, sealedSecrets, ring }: ProviderParts): Partial<Adapter> {
  return {
    async find(given: unknown) {
      // The database takes not every text; it is spared what no client is called.
      const id = isClientId(given) ? given : ''
      const client: Client | undefined = id === '' ? undefined : await findClient(id)
      if (client && !client.disabledAt) {
        const sealed = secretForm(client) === 'sealed' ? await sealedSecrets.list(id) : []
        return clientMetadata(client, ring, sealed) as AdapterPayload
      }
      // As much work as for a wrong secret, so that time does not tell which clients there are.
      if (AUTHENTICATING.has(routeAtHand() ?? '')) await verifySecret(id, '')
      return undefined
    },
  }
}
