// Removes what tours have left behind.
import { type TourParts, TRY_PREFIX } from './parts.ts'

/** Removes every client and person whose name begins with `try-`. */
export async function cleanUpTry(
  parts: Pick<TourParts, 'listClients' | 'removeClient' | 'listUsers' | 'removeUser'>,
): Promise<void> {
  for (const { id } of await parts.listClients()) if (id.startsWith(TRY_PREFIX)) await parts.removeClient(id)
  for (const { email } of await parts.listUsers(TRY_PREFIX)) await parts.removeUser(email)
}
