// Clients name resources and their scopes; this tells which of those do not exist.
import type { ClientFields } from '../clients/client.ts'
import type { DocumentFault } from '../vocabulary/document.ts'
import { didYouMean } from '../vocabulary/nearest.ts'
import { RESERVED_SCOPES } from '../vocabulary/oidc-scopes.ts'

/** Resource ids, with the names of their scopes; undefined where those cannot be told. */
export type KnownResources = ReadonlyMap<string, readonly string[] | undefined>

/**
 * @param client what is known of a client; fields that could not be read are left out
 * @returns a fault, with its path in the client's document, for each resource or scope that does not exist
 */
export function referenceFaults(
  client: Pick<Partial<ClientFields>, 'scopes' | 'serves'>,
  known: KnownResources,
): DocumentFault[] {
  const unknown = (id: string) => `names a resource that does not exist${didYouMean(id, [...known.keys()])}`
  const served = (client.serves ?? []).flatMap((id, index) =>
    known.has(id) ? [] : [{ path: ['serves', index], text: `${unknown(id)} (${JSON.stringify(id)})` }],
  )
  const asked = Object.entries(client.scopes ?? {}).flatMap(([id, scopes]): DocumentFault[] => {
    if (!known.has(id)) return [{ path: ['scopes', id], text: unknown(id) }]
    const names = known.get(id)
    return scopes.flatMap((scope, index) =>
      names === undefined || names.includes(scope)
        ? []
        : [{ path: ['scopes', id, index], text: scopeText(scope, id, names) }],
    )
  })
  return [...asked, ...served]
}

function scopeText(scope: string, id: string, names: readonly string[]): string {
  if (RESERVED_SCOPES.includes(scope))
    return `${scope} needs no entry: every client through which people log in may ask for it`
  return `${JSON.stringify(scope)} is not a scope of ${id}${didYouMean(scope, names)}`
}
