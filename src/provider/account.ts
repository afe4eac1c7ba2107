// Accounts as the engine sees them: a subject and its claims. A disabled account is not found, so nothing new is issued for it.
import type { Account as EngineAccount, FindAccount } from 'oidc-provider'
import type { ProviderParts } from './parts.ts'

/** @returns the engine's look-up of a subject */
export function createFindAccount({ findAccount }: Pick<ProviderParts, 'findAccount'>): FindAccount {
  return async (_ctx, subject): Promise<EngineAccount | undefined> => {
    const account = await findAccount(subject)
    if (!account || account.disabledAt) return undefined
    return {
      accountId: account.id,
      // The engine keeps what the granted scopes allow. Nobody has proved yet that the address is theirs.
      claims: async () => ({ sub: account.id, name: account.name, email: account.email, email_verified: false }),
    }
  }
}
