// Removes what tours have left behind.
import { isTryName, type TourParts, TRY_PREFIX } from './parts.ts'

/** Removes every client and person that a tour named; what operators named themselves stays. */
export async function cleanUpTry(
  parts: Pick<TourParts, 'listClients' | 'removeClient' | 'listUsers' | 'removeUser'>,
): Promise<void> {
  for (const { id } of await parts.listClients()) if (isTryName(id)) await parts.removeClient(id)
  for (const { email } of await parts.listUsers(TRY_PREFIX)) if (isTryName(email)) await parts.removeUser(email)
}
