// Pushed authorization requests (RFC 9126), as the engine keeps them: found by their handle when a request begins, and by their
// row key when a sign-in ends.
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { PushedRequest, PushedRequests } from '../tokens/pushed-requests.ts'
import { noteTooLate } from './at-hand.ts'
import type { ProviderParts } from './parts.ts'
import { after, given } from './payload.ts'

const BY_KEY = '~'

/** How an interaction knows a pushed request: by its row key, which is not what the client has. */
export function nameOfPushed({ key }: PushedRequests, id: string): string {
  return id.startsWith(BY_KEY) ? id : `${BY_KEY}${key(id).toString('base64url')}`
}

/** @returns the adapter of the model */
export function adaptPushed({ tokens: { pushedRequests }, now }: ProviderParts): Partial<Adapter> {
  const keyOf = (id: string) => Buffer.from(nameOfPushed(pushedRequests, id).slice(BY_KEY.length), 'base64url')
  return {
    upsert: (id, payload, expiresIn) =>
      pushedRequests.save(
        keyOf(id),
        Provider.ctx!.oidc.client!.clientId,
        payload as unknown as PushedRequest,
        after(now, expiresIn),
      ),
    async find(id) {
      const oidc = Provider.ctx!.oidc
      const arriving = oidc.route === 'authorization'
      if (arriving && id.startsWith(BY_KEY)) return undefined
      const found = await pushedRequests.find(keyOf(id))
      // Looked up again at the end of a sign-in; the engine would take one that is gone for one that never was.
      if (!found && !arriving) return { consumed: true } as AdapterPayload
      if (!found || found.clientId !== oidc.client?.clientId) return undefined
      const { clientId, consumed, expiresAt, ...request } = found
      const exp = Math.floor(expiresAt.getTime() / 1000)
      return given(request, { jti: id, exp, ...(consumed && { consumed: true }) })
    },
    async consume(id) {
      if (await pushedRequests.consume(keyOf(id))) return
      noteTooLate()
      throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
    },
  }
}
